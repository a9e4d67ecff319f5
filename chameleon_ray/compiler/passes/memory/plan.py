"""Reads a lowered module as a plain graph, and reorders the module for the least peak.

A node is a call of a loop nest, a buffer is the tensor it writes. The peak of such a graph is the
memory that a planner has to find room for, outputs included.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import tvm
import tvm_ffi
from tvm import relax
from tvm.ir import Call, IRModule
from tvm.relax.backend.cpu_generic import pipeline

from chameleon_ray.compiler.passes.memory.pointwise import is_pointwise
from chameleon_ray.compiler.quiet import quiet
from chameleon_ray.compiler.relax import bindings_of, is_static, operator, uses_of
from chameleon_ray.graph.graph import Graph, Node, union


class Unplannable(Exception):
    """A module whose order is left alone, and why, in a phrase."""


@dataclass
class MemoryGraph:
    """The ``main`` of a module as a plain graph.

    Attributes:
        graph: A node per call that allocates a tensor.
        calls: The binding of every node.
        views: Bindings that allocate nothing, in order, with the nodes (a set of bits) they need.
        sums: Nodes that write over one of their arguments, with that argument's place in the call.
    """

    graph: Graph
    calls: Sequence[relax.Binding]
    views: Sequence[tuple[int, relax.Binding]]
    sums: dict[int, int]


def program(module: IRModule, in_place: bool = False) -> MemoryGraph:
    """Makes the plain graph of a lowered module.

    Args:
        module: A lowered module as ``lower`` gives it.
        in_place: Whether a loop nest may write over an argument that it reads pointwise, and that
            nothing else reads.

    Raises:
        Unplannable: It has control flow, or tensors whose size is not known.
    """
    reading = _Reading(module, in_place)
    for binding in bindings_of(module):
        reading.add(binding)
    return reading.program()


def reorder(module: IRModule, found: MemoryGraph, order: Sequence[int]) -> IRModule:
    """Puts a module's calls in another order, with sums made in place."""
    main = module["main"]
    bindings: list[relax.Binding] = []
    views, done = list(found.views), 0
    for number in (None, *order):
        if number is not None:
            call, done = found.calls[number], done | 1 << number
            place = found.sums.get(number)
            bindings.append(call if place is None else _written_over(call, place))
        bindings += [view for needs, view in views if not needs & ~done]
        views = [(needs, view) for needs, view in views if needs & ~done]
    functions = dict(module.functions)
    for number in found.sums:
        variable = found.calls[number].value.args[0]
        functions[variable] = module[variable].with_attr("tirx.noalias", False)
    changed = IRModule(functions, attrs=module.attrs, global_infos=module.global_infos)
    body = relax.SeqExpr([relax.DataflowBlock(bindings)], main.body.body)
    changed["main"] = relax.Function(main.params, body, main.ret_ty, main.is_pure, main.attrs)
    return relax.transform.Normalize()(changed)


def planned_bytes(module: IRModule, target: tvm.target.Target) -> int:
    """Returns the bytes that TVM's static memory planner allocates for a module and its outputs."""
    passes = [
        *pipeline.library_dispatch_passes(target),
        *pipeline.legalize_passes(target),
        *pipeline.dataflow_lower_passes(target),
        relax.transform.StaticPlanBlockMemory(),
    ]
    with target, quiet():
        planned = tvm.transform.Sequential(passes)(module)
    total = 0
    for binding in bindings_of(planned):
        if operator(binding.value) == "relax.memory.alloc_storage":
            total += math.prod(int(size) for size in binding.value.args[0])
        elif operator(binding.value) == "relax.builtin.alloc_tensor":
            total += nbytes(binding.var.ty)
    return total


def nbytes(ty: Any) -> int:
    """Returns the bytes of a tensor, or of all tensors of a tuple.

    Raises:
        Unplannable: Its size is not known.
    """
    if isinstance(ty, relax.TupleType | tvm.ir.TupleType):
        return sum(nbytes(one) for one in ty.fields)
    if not is_static(ty):
        raise Unplannable("some of its shapes are not known before it runs")
    elements: int = math.prod([int(size) for size in ty.shape])
    return elements * -(-tvm.DataType(str(ty.dtype)).bits // 8)


def demand_plain(binding: relax.Binding) -> None:
    """Checks that a binding can be put elsewhere in the order.

    Raises:
        Unplannable: It is control flow, of unknown size, or more than a computation.
    """
    value = binding.value
    if isinstance(value, relax.If | relax.SeqExpr | relax.Function):
        raise Unplannable("it has control flow")
    if not isinstance(binding, relax.VarBinding):
        raise Unplannable("some of its shapes are not known before it runs")
    if isinstance(value, Call):
        pure = isinstance(value.op, tvm.ir.Op) and value.op.get_attr("FPurity")
        if not pure:
            raise Unplannable("it calls what may do more than compute")


class _Reading:
    """Collects nodes and buffers, binding by binding."""

    def __init__(self, module: IRModule, in_place: bool) -> None:
        self.module, self.in_place = module, in_place
        self.sizes: list[int] = []
        self.nodes: list[Node] = []
        self.calls: list[relax.Binding] = []
        self.views: list[tuple[int, relax.Binding]] = []
        self.sums: dict[int, int] = {}
        self.buffers: dict[relax.Var, tuple[int, ...]] = {}
        self.makers: dict[relax.Var, int] = {}
        self.needs: dict[relax.Var, int] = {}
        for param in module["main"].params:
            self.buffers[param] = (self._buffer(0),)
        self.uses = uses_of(module)

    def program(self) -> MemoryGraph:
        kept = self._read(self.module["main"].body.body)
        graph = Graph(tuple(self.sizes), tuple(self.nodes), frozenset(kept))
        return MemoryGraph(graph, self.calls, self.views, self.sums)

    def add(self, binding: relax.Binding) -> None:
        """Adds one binding.

        Raises:
            Unplannable: It is control flow, or of unknown size.
        """
        value, var = binding.value, binding.var
        demand_plain(binding)
        if not isinstance(value, Call) or self._is_view(value):
            self.buffers[var] = self._read(value)
            self.needs[var] = union(self.needs.get(v, 0) for v in relax.analysis.free_vars(value))
            self.views.append((self.needs[var], binding))
            return
        number = len(self.nodes)
        over = self._over(binding) if self.in_place else None
        if over is None:
            reads, writes = self._read(value), self._buffer(nbytes(var.ty))
            after: tuple[int, ...] = ()
        else:
            summed = value.args[1].fields[over]
            (writes,), after = self.buffers[summed], (self.makers[summed],)
            reads = tuple(buffer for buffer in self._read(value) if buffer != writes)
            self.sums[number] = over
        self.nodes.append(Node(f"{number} {_called(value)}", reads, writes, after=after))
        self.calls.append(binding)
        self.buffers[var], self.makers[var], self.needs[var] = (writes,), number, 1 << number

    def _over(self, binding: relax.Binding) -> int | None:
        """Returns the place of an argument that a call can write over; None without one."""
        value = binding.value
        if operator(value) != "relax.call_tir" or not isinstance(binding.var.ty, relax.TensorType):
            return None
        args = list(value.args[1].fields)
        for place, arg in enumerate(args):
            mine = arg in self.makers and self.uses[arg] == 1 and args.count(arg) == 1
            fits = mine and tvm_ffi.structural_equal(arg.ty, binding.var.ty)
            if fits and is_pointwise(self.module[value.args[0]], place):
                return place
        return None

    def _is_view(self, call: Call) -> bool:
        is_loop = operator(call) == "relax.call_tir"
        return is_loop and relax.analysis.has_reshape_pattern(self.module[call.args[0]])

    def _read(self, value: relax.Expr) -> tuple[int, ...]:
        """Returns the buffers that an expression reads, each once."""
        variables = relax.analysis.free_vars(value)
        found = (buffer for one in variables for buffer in self.buffers.get(one, ()))
        return tuple(dict.fromkeys(found))

    def _buffer(self, size: int) -> int:
        self.sizes.append(size)
        return len(self.sizes) - 1


def _called(call: Call) -> str:
    """Returns the name of a call's function, for people."""
    return call.args[0].name_hint if operator(call) == "relax.call_tir" else operator(call)


def _written_over(binding: relax.Binding, place: int) -> relax.Binding:
    """Makes a call that writes its output over one of its arguments, which is passed twice."""
    function, args = binding.value.args[0], list(binding.value.args[1].fields)
    call = relax.op.call_tir_inplace(function, [*args, args[place]], [len(args)], binding.var.ty)
    return relax.VarBinding(binding.var, call)
