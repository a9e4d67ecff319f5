"""A layer with one reduction as a vendor's function sees it, and the call of such a function."""

from dataclasses import dataclass, replace
from math import prod
from typing import Any

import tvm
from tvm.ir.expr import TensorLoad
from tvm.s_tir import Schedule

from chameleon_ray.compiler.spaces.templates.reduction import PARALLEL, REDUCED, outermost
from chameleon_ray.compiler.spaces.vendor.epilogue import (
    Epilogue,
    Unknown,
    epilogue_of,
    is_copy,
    uncast,
)
from chameleon_ray.measure.precision import PRECISION, TF32

TYPES = ("float16", "bfloat16", "float32")
CUBLASLT, CUDNN = "cuBLASLt", "cuDNN"


@dataclass(frozen=True)
class Call:
    """A call of a function that computes a layer.

    Attributes:
        library: Library of the function.
        function: ``matmul`` or ``conv2d``.
        operands: Numbers of the two operands' parameters; that of the weights is the second.
        shapes: Shapes of the two operands and of the output, as the function wants them.
        epilogue: What becomes of the sums.
        tf32: Whether operands may be rounded to TF32.
        geometry: Numbers that only this function takes. For ``matmul`` the matrices of a batch,
            rows, columns and depth; whether the rows of the first operand are its last axis, and
            whether the columns of the second one are not; elements between matrices of the first
            and of the second operand. For ``conv2d`` whether channels come last; strides; paddings
            at the top, left, bottom and right; dilations.
    """

    library: str
    function: str
    operands: tuple[int, int]
    shapes: tuple[tuple[int, ...], ...]
    epilogue: Epilogue
    tf32: bool
    geometry: tuple[int, ...]


class Layer:
    """The blocks of a layer with one reduction.

    Attributes:
        parameters: Buffers of the layer's parameters.
        tf32: Whether operands may be rounded to TF32.
        spatial: Variables of the reduction's outputs.
        reduced: Variables that it reduces over.
        extents: Extents of its outputs.
        kernel: Extents of what it reduces over.
        loads: The two loads that it multiplies.
    """

    def __init__(self, module: Any) -> None:
        """Reads a module with one PrimFunc ``main``.

        Raises:
            Unknown: The layer is no sum of products, with other blocks around it.
        """
        schedule, main = Schedule(module, debug_mask=0), module["main"]
        blocks = [schedule.get(handle) for handle in outermost(schedule, module)]
        sums = [block for block in blocks if REDUCED in _kinds(block)]
        demand(len(sums) == 1 and all(_kinds(block) <= {PARALLEL, REDUCED} for block in blocks))
        demand(all(isinstance(block.body, tvm.tirx.BufferStore) for block in blocks))
        self.parameters = list(main.params)
        self.tf32 = str((main.attrs or {}).get(PRECISION, "")) == TF32
        (self._sums,) = sums
        self._others = [block for block in blocks if not block.same_as(self._sums)]
        spatial = [i for i in self._sums.iter_vars if int(i.iter_type) == PARALLEL]
        reduced = [i for i in self._sums.iter_vars if int(i.iter_type) == REDUCED]
        self.spatial, self.reduced = [i.var for i in spatial], [i.var for i in reduced]
        self.extents = tuple(int(i.dom.extent) for i in spatial)
        self.kernel = tuple(int(i.dom.extent) for i in reduced)
        self.loads = self._multiplied()

    def _multiplied(self) -> list[Any]:
        """Returns the two loads of ``sums += load * load``, which begins with 0."""
        store, init = self._sums.body, self._sums.init
        value = store.value
        demand(isinstance(value, tvm.tirx.Add) and isinstance(value.b, tvm.tirx.Mul))
        demand(isinstance(value.a, TensorLoad) and value.a.source.same_as(store.buffer))
        demand(isinstance(init, tvm.tirx.BufferStore))
        demand(isinstance(init.value, tvm.tirx.FloatImm) and float(init.value.value) == 0)
        demand(len(store.indices) == len(self.spatial))
        pairs = zip(store.indices, self.spatial, strict=True)
        demand(all(index.same_as(variable) for index, variable in pairs))
        factors = [uncast(value.b.a), uncast(value.b.b)]
        demand(all(isinstance(factor, TensorLoad) for factor in factors))
        return factors

    def epilogue(self, channels: int) -> Epilogue:
        """Recognises what becomes of the sums, whose channels are on this axis."""
        before = [block for load in self.loads for block in self._before(load.source)]
        after = [b for b in self._others if not any(b.same_as(one) for one in before)]
        return epilogue_of(after, self._sums.body.buffer, self.parameters, channels)

    def writer(self, buffer: Any) -> Any:
        """Returns the block that writes a buffer; None where it is a parameter."""
        return next((b for b in self._others if b.body.buffer.same_as(buffer)), None)

    def _before(self, buffer: Any) -> list[Any]:
        block = self.writer(buffer)
        if block is None:
            return []
        return [block, *(one for read in block.reads for one in self._before(read.source))]

    def parameter(self, buffer: Any) -> int:
        """Returns the number of the parameter that a buffer is, or is a copy of.

        Raises:
            Unknown: It is none.
        """
        block = self.writer(buffer)
        if block is not None:
            copied = block.body.value
            demand(is_copy(block) and isinstance(copied, TensorLoad))
            return self.parameter(copied.source)
        for number, parameter in enumerate(self.parameters):
            if parameter.same_as(buffer):
                return number
        raise Unknown

    def checked(self, call: Call) -> Call:
        """Returns a call whose types and output a library can have.

        Raises:
            Unknown: It cannot.
        """
        left, right = (self.parameters[number] for number in call.operands)
        dtype, output = str(left.dtype), self.parameters[-1]
        same = str(right.dtype) == dtype and str(output.dtype) in (dtype, "float32")
        if not same or dtype not in TYPES or prod(self.extents) != prod(shape_of(output)):
            raise Unknown
        used = (call.epilogue.bias, call.epilogue.residual)
        own = {str(self.parameters[n].dtype) for n in used if n is not None}
        last = self._others[-1] if self._others else self._sums
        if not own <= {*TYPES} or not last.body.buffer.same_as(output):
            raise Unknown
        return replace(call, tf32=self.tf32)


def _kinds(block: Any) -> set[int]:
    return {int(iterator.iter_type) for iterator in block.iter_vars}


def is_index(index: Any, variable: Any, load: Any, axis: int) -> bool:
    """Whether an index is a variable, or the only one of an axis."""
    return index is not None and (index.same_as(variable) or shape_of(load.source)[axis] == 1)


def shape_of(buffer: Any) -> tuple[int, ...]:
    return tuple(int(n) for n in buffer.shape)


def demand(fact: bool) -> None:
    if not fact:
        raise Unknown
