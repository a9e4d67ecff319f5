"""A layer with one reduction as a vendor's function sees it, and the call of such a function."""

from dataclasses import dataclass, replace
from math import prod
from typing import Any

import tvm
from tvm.ir.expr import TensorLoad
from tvm.s_tir import Schedule

from chameleon_ray.compiler.spaces.templates.reduction import PARALLEL, REDUCED, Reduction
from chameleon_ray.compiler.spaces.vendor.epilogue import Epilogue, Unknown, epilogue_of

PRECISION = "chameleon.precision"
"""Attribute of layers that may multiply in TF32."""
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
        spatial: Variables of the reduction's outputs.
        reduced: Variables that it reduces over.
        extents: Extents of its outputs.
        loads: What it multiplies.
        padding: Block that pads its first operand; None where there is none.
    """

    def __init__(self, module: Any, reduction: Reduction) -> None:
        main = module["main"]
        schedule = Schedule(module, debug_mask=0)

        def block(name: str) -> Any:
            return schedule.get(schedule.get_sblock(name))

        self.parameters = list(main.params)
        self.tf32 = str(main.attrs.get(PRECISION, "")) == "tf32"
        self._sums = block(reduction.block)
        iterators = self._sums.iter_vars
        self.spatial = [i.var for i in iterators if int(i.iter_type) == PARALLEL]
        self.reduced = [i.var for i in iterators if int(i.iter_type) == REDUCED]
        self.extents = reduction.outputs
        self.kernel = reduction.reduced
        self.padding = block(reduction.padding) if reduction.padding else None
        self._copies = [block(name) for name in reduction.copies]
        after = (*reduction.between, *filter(None, [reduction.last]))
        self._after = [block(name) for name in after]
        self.loads = self._multiplied()

    def _multiplied(self) -> list[Any]:
        """Returns the two loads of ``sums += load * load``; none where it is something else."""
        store = self._sums.body
        value = store.value
        if not isinstance(value, tvm.tirx.Add) or not isinstance(value.b, tvm.tirx.Mul):
            return []
        factors = [_uncast(value.b.a), _uncast(value.b.b)]
        starts = isinstance(value.a, TensorLoad) and value.a.source.same_as(store.buffer)
        found = all(isinstance(factor, TensorLoad) for factor in factors)
        return factors if starts and found else []

    def epilogue(self, channels: int) -> Epilogue:
        return epilogue_of(self._after, self._sums.body.buffer, self.parameters, channels)

    def parameter(self, buffer: Any) -> int:
        """Returns the number of the parameter that a buffer is, or is a copy of.

        Raises:
            Unknown: It is none.
        """
        for copy in self._copies:
            if copy.body.buffer.same_as(buffer):
                buffer = copy.reads[0].source
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
        if not own <= {*TYPES} or not _written(self, output):
            raise Unknown
        return replace(call, tf32=self.tf32)


def _written(layer: Layer, output: Any) -> bool:
    last = layer._after[-1] if layer._after else layer._sums
    return bool(last.body.buffer.same_as(output)) and len(last.writes) == 1


def is_index(index: Any, variable: Any, load: Any, axis: int) -> bool:
    """Whether an index is a variable, or the only one of an axis."""
    return index is not None and (index.same_as(variable) or shape_of(load.source)[axis] == 1)


def _uncast(node: Any) -> Any:
    return node.value if isinstance(node, tvm.tirx.Cast) else node


def shape_of(buffer: Any) -> tuple[int, ...]:
    return tuple(int(n) for n in buffer.shape)


def demand(fact: bool) -> None:
    if not fact:
        raise Unknown
