"""Reads a folded module as a graph of operations, each with its pointwise followers."""

from dataclasses import dataclass

import numpy as np
import tvm_ffi
from tvm import relax
from tvm.ir import Call, GenericConst, IRModule

from chameleon_ray.compiler.passes.memory.plan import demand_plain, nbytes
from chameleon_ray.compiler.relax import bindings_of, operator, uses_of
from chameleon_ray.graph.graph import ADD, CONCAT, CONV, DEPTHWISE, Graph, Node

POINTWISE = {
    *(f"relax.nn.{name}" for name in ("relu", "silu", "gelu", "leakyrelu")),
    *(f"relax.{name}" for name in ("sigmoid", "tanh", "exp", "negative", "abs", "clip")),
}
WITH_CONSTANT = {
    f"relax.{name}" for name in ("add", "subtract", "multiply", "divide", "maximum", "minimum")
}
"""Operators that are pointwise with a constant; those of ``POINTWISE`` are so alone.

A pointwise operator changes an element whatever the others are.
"""


@dataclass
class Group:
    """An operation and the pointwise ones that follow it.

    Attributes:
        kind: Kind of the graph's node.
        bindings: The operation, then the pointwise ones.
        views: Whether something takes the result apart, so that it stays whole.
    """

    kind: str
    bindings: list[relax.Binding]
    views: bool = False

    @property
    def var(self) -> relax.Var:
        return self.bindings[-1].var

    @property
    def is_view(self) -> bool:
        """Whether the group allocates nothing."""
        return not isinstance(self.bindings[0].value, Call)

    @property
    def shifts(self) -> list[np.ndarray]:
        """The constants that are added to the operation's result before anything else is done."""
        found = []
        for binding in self.bindings[1:]:
            if operator(binding.value) != "relax.add":
                break
            found.append(np.asarray(_constant_of(binding.value)))
        return found

    @property
    def rest(self) -> list[relax.Binding]:
        """The pointwise operations after the shifts."""
        return self.bindings[1 + len(self.shifts) :]


class Reading:
    """The operations of ``main`` as groups, and the groups as a plain graph."""

    def __init__(self, module: IRModule) -> None:
        main = module["main"]
        self.groups: list[Group] = []
        self.first: list[relax.Binding] = []
        self.owners: dict[relax.Var, int] = {}
        self.kept = set(relax.analysis.free_vars(main.body.body))
        self.uses = uses_of(module)
        for binding in bindings_of(module):
            self._add(binding)
        self.params = [p for p in main.params if isinstance(p.ty, relax.TensorType)]

    def graph(self) -> Graph:
        """Makes the graph: a node and a buffer per group, then a free buffer per parameter."""
        places = {param: len(self.groups) + n for n, param in enumerate(self.params)} | self.owners
        nodes = []
        for number, group in enumerate(self.groups):
            inner = {binding.var for binding in group.bindings}
            variables = [v for b in group.bindings for v in ordered_vars(b.value)]
            reads = [places[v] for v in variables if v in places and v not in inner]
            linear = len(group.bindings) == 1 + len(group.shifts)
            many = group.kind in (ADD, CONCAT)
            kind, name = group.kind if self._is_whole(group) else "", str(number)
            reads = reads if many else list(dict.fromkeys(reads))
            nodes.append(Node(name, tuple(reads), number, kind, linear, of=name))
        sizes = [nbytes(g.bindings[0].var.ty) * (not g.is_view) for g in self.groups]
        kept = {places[var] for var in self.kept if var in places}
        return Graph((*sizes, *(0 for _ in self.params)), tuple(nodes), frozenset(kept))

    def _is_whole(self, group: Group) -> bool:
        """Whether an operation writes one tensor, and reads only other groups' and parameters.

        It must read no constants beside them, and nothing that was taken apart.
        """
        if group.views or not group.kind:
            return False
        args = group.bindings[0].value.args
        if group.kind == CONCAT:
            args = args[0].fields if isinstance(args[0], relax.Tuple) else ()
        tensors = args[:1] if group.kind in (CONV, DEPTHWISE) else args
        return bool(tensors) and all(self._is_result(tensor) for tensor in tensors)

    def _is_result(self, tensor: relax.Expr) -> bool:
        if tensor in self.params:
            return True
        owner = self.groups[self.owners[tensor]] if tensor in self.owners else None
        return owner is not None and not owner.views and tensor == owner.var

    def _add(self, binding: relax.Binding) -> None:
        value, var = binding.value, binding.var
        demand_plain(binding)
        makers = [self.owners[v] for v in relax.analysis.free_vars(value) if v in self.owners]
        if not isinstance(value, Call):
            self._add_view(binding, set(makers))
            return
        if makers and self._follows(value, self.groups[makers[0]]):
            self.groups[makers[0]].bindings.append(binding)
            self.owners[var] = makers[0]
            return
        self.owners[var] = len(self.groups)
        self.groups.append(Group(kind_of(value), [binding]))

    def _add_view(self, binding: relax.Binding, makers: set[int]) -> None:
        """Notes a binding that allocates nothing, as part of its maker or as a node of its own."""
        if not makers:
            self.first.append(binding)
            return
        if len(makers) == 1:
            (number,) = makers
            self.groups[number].bindings.append(binding)
            self.groups[number].views = True
        else:
            number = len(self.groups)
            self.groups.append(Group("", [binding], views=True))
            self.kept |= set(ordered_vars(binding.value))
        self.owners[binding.var] = number

    def _follows(self, call: Call, group: Group) -> bool:
        """Whether a call does nothing but change the elements of a group's output."""
        variables = [arg for arg in call.args if isinstance(arg, relax.Var)]
        alone = operator(call) in POINTWISE
        changes = alone or (operator(call) in WITH_CONSTANT and _constant_of(call) is not None)
        return (
            changes
            and variables == [group.var]
            and self.uses[group.var] == 1
            and group.var not in self.kept
            and not group.views
            and group.kind != CONCAT
            and tvm_ffi.structural_equal(call.ty, group.var.ty)
        )


def kind_of(call: Call) -> str:
    """Returns a call's kind of node in the graph; empty where rewriting leaves the call alone."""
    name = operator(call)
    variables = [arg for arg in call.args if isinstance(arg, relax.Var)]
    if name == "relax.nn.conv2d" and isinstance(call.args[1], GenericConst):
        attrs = call.attrs
        plain = (str(attrs.data_layout), str(attrs.kernel_layout)) == ("NCHW", "OIHW")
        if plain and int(attrs.groups) == 1:
            return CONV
        channels = int(call.args[0].ty.shape[1])
        return DEPTHWISE if plain and int(attrs.groups) == channels else ""
    if name == "relax.concat" and call.ty.ndim == 4 and int(call.attrs.axis) == 1:
        return CONCAT
    if name == "relax.add" and len(variables) == 2:
        same = all(tvm_ffi.structural_equal(one.ty, call.ty) for one in variables)
        return ADD if same else ""
    return ""


def _constant_of(call: Call) -> np.ndarray | None:
    found = [arg for arg in call.args if isinstance(arg, GenericConst)]
    return found[0].value.numpy() if len(found) == 1 else None


def ordered_vars(value: relax.Expr) -> list[relax.Var]:
    """Returns the variables that a binding's value reads, in order, as often as it reads them."""
    if isinstance(value, relax.Var):
        return [value]
    parts = value.args if isinstance(value, Call) else getattr(value, "fields", ())
    found = [one for part in parts for one in ordered_vars(part)]
    return found or list(relax.analysis.free_vars(value))
