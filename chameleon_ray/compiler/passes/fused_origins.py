"""Gives layers the names of the operations that they are fused of, the heaviest one's first.

TVM's fusion makes one function of several operations, and the same one for each place where it
finds these operations. The variables inside are those of the first place. So the operations of each
call are looked up by what they read.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import Any

from tvm import relax
from tvm.ir import Call, GenericConst, GlobalVar, IRModule

from chameleon_ray.compiler.origin import Origin, origin_of, with_origins
from chameleon_ray.compiler.passes.mixed_precision import PRODUCTS, REDUCTIONS
from chameleon_ray.compiler.relax import bindings_of, is_static, operator

WEIGHTS = {0: 1, 1: 1, 3: 2, 4: 3, 8: 3}
"""Weight of loops by TVM's number of their pattern: elementwise, broadcasting, reducing, summing up
products, and opaque; what only moves elements has none."""
SUMMING = re.compile("conv|winograd|matmul")
"""Names of loops, and of operators, that sum up products."""
IDLE = {"cast", "reshape", "squeeze", "expand_dims", "flatten", "broadcast_to", "astype"}
"""Loops that are not worth telling beside others."""
MOVES = IDLE | {"transpose", "permute_dims", "concatenate", "strided_slice", "take", "pad"}
"""Loops that move elements, whatever they are made for."""
NONE = Origin("")
MOST = 4
"""Most operations that are told after the heaviest one."""


@dataclass(frozen=True)
class Part:
    """One operation of a layer.

    Attributes:
        var: Variable of its value.
        call: Its call, of an operator or of loops.
        origin: What of the model it is computed for.
        kind: Name of its operator or loops, without numbers.
        weight: Tells which part of a layer is the heaviest.
    """

    var: relax.Var
    call: Call
    origin: Origin
    kind: str
    weight: tuple[int, int]

    @property
    def sums_up(self) -> bool:
        """Whether it sums up products."""
        return bool(SUMMING.search(self.kind))

    @property
    def is_as_imported(self) -> bool:
        """Whether the part computes what its origin tells, and not only something for it."""
        same = (self.origin.operator in PRODUCTS) == self.sums_up
        return same and self.kind not in MOVES and bool(self.origin.what)

    @property
    def what(self) -> str:
        """What is computed, with extents."""
        if self.is_as_imported:
            return self.origin.what
        shape = [int(size) for size in self.var.ty.shape] if is_static(self.var.ty) else []
        ones = next((place for place, size in enumerate(shape) if size > 1), len(shape))
        return f"{self.word} @{'x'.join(map(str, shape[ones:] or [1]))}" if shape else self.word

    @property
    def word(self) -> str:
        """What is computed, in a word or two."""
        return self.origin.label if self.is_as_imported else self.kind.replace("_", " ")

    @property
    def shifts(self) -> bool:
        """Whether it adds constants, such as a bias."""
        args = (
            self.call.args[1].fields if operator(self.call) == "relax.call_tir" else self.call.args
        )
        return self.kind == "add" and any(isinstance(arg, GenericConst) for arg in args)


def with_fused_origins(before: IRModule, after: IRModule) -> IRModule:
    """Gives the calls of a module their origins, with all that was fused to them.

    Args:
        before: A module whose variables have origins.
        after: The same, after operations were put together to functions.
    """
    parts = _parts(before)
    known = defaultdict[Any, list[relax.Var]](list)
    for binding in bindings_of(before):
        known[_key(binding.value, {})].append(binding.var)
    params = (mod["main"].params for mod in (after, before))
    same: dict[relax.Var, relax.Expr] = dict(zip(*params, strict=True))
    found: dict[relax.Var, Origin] = {}
    for binding in bindings_of(after):
        inside = [parts[var] for var in _members(binding, after, known, same) if var in parts]
        if inside:
            found[binding.var] = _joined(inside)
    return with_origins(after, found)


def _parts(mod: IRModule) -> dict[relax.Var, Part]:
    """Returns the operations of a module."""
    origins = _origins(mod)
    calls = [(b.var, b.value) for b in bindings_of(mod) if operator(b.value)]
    return {var: _part(mod, var, call, origins[var]) for var, call in calls}


def _origins(mod: IRModule) -> dict[relax.Var, Origin]:
    """Returns the origin of each value; of those without, that of what reads them, or they read."""
    found: dict[relax.Var, Origin] = {}
    inherited: dict[relax.Var, Origin] = {}
    for binding in reversed(bindings_of(mod)):
        origin = origin_of(binding.var) or inherited.get(binding.var)
        for used in relax.analysis.free_vars(binding.value):
            inherited[used] = origin or inherited.get(used, NONE)
        found[binding.var] = origin or NONE
    for binding in bindings_of(mod):
        if not found[binding.var].name:
            reads = [found.get(used, NONE) for used in relax.analysis.free_vars(binding.value)]
            found[binding.var] = next((one for one in reads if one.name), found[binding.var])
    return found


def _part(mod: IRModule, var: relax.Var, call: Call, origin: Origin) -> Part:
    size = prod(int(one) for one in var.ty.shape) if is_static(var.ty) else 0
    if operator(call) != "relax.call_tir":
        name = operator(call)
        kind = name.rpartition(".")[2]
        weight = 3 if name in PRODUCTS else 2 if name in REDUCTIONS else int(kind not in MOVES)
        return Part(var, call, origin, kind, (weight, size))
    variable = call.args[0]
    pattern = int((mod[variable].attrs or {}).get("op_pattern", 8))
    kind = re.sub(r"\d+$|^tir_|^te_|^fused_|relax_(nn_)?", "", variable.name_hint)
    weight = 0 if kind in MOVES else WEIGHTS.get(pattern, 0)
    return Part(var, call, origin, kind, (weight, size))


def _members(
    binding: relax.Binding,
    after: IRModule,
    known: Mapping[Any, list[relax.Var]],
    same: dict[relax.Var, relax.Expr],
) -> Iterator[relax.Var]:
    """Yields the variables of the module before whose values a binding of the one after computes.

    Args:
        binding: The binding.
        after: The module after.
        known: Variables of the module before, by what they are computed from.
        same: Variables of the module before that others are the same as; more are added.
    """
    call = binding.value
    calls = isinstance(call, Call) and isinstance(call.op, GlobalVar)
    function = after[call.op] if calls else None
    inner = [(binding.var, call)]
    if isinstance(function, relax.Function):
        given = [same.get(arg, arg) for arg in call.args]
        same.update(zip(function.params, given, strict=False))
        inner = [(b.var, b.value) for block in function.body.blocks for b in block.bindings]
    for var, value in inner:
        places = known.get(_key(value, same), [])
        if places:
            same[var] = places.pop(0) if len(places) > 1 else places[0]
            yield same[var]
    if isinstance(function, relax.Function) and function.body.body in same:
        same[binding.var] = same[function.body.body]


def _key(value: relax.Expr, same: Mapping[relax.Var, relax.Expr]) -> Any:
    """Returns what tells a value from others: its operator or loops, and what it reads."""
    if isinstance(value, relax.Var | GenericConst):
        return same.get(value, value)
    if isinstance(value, relax.Tuple):
        return tuple(_key(one, same) for one in value.fields)
    if isinstance(value, relax.TupleGetItem):
        return (_key(value.tuple_value, same), value.index)
    if isinstance(value, Call):
        loops = value.args[0].name_hint if operator(value) == "relax.call_tir" else ""
        return (operator(value), loops, *(_key(arg, same) for arg in value.args))
    return None


def _joined(parts: list[Part]) -> Origin:
    """Returns the origin of a layer: the heaviest part's, with what the others do."""
    first = max(parts, key=lambda part: part.weight)
    nodes: dict[str, Part] = {}
    for part in parts:
        kept = nodes.get(part.origin.node)
        nodes[part.origin.node] = part if kept is None or part.weight >= kept.weight else kept
    others = [part for node, part in nodes.items() if node != first.origin.node]
    told = [
        part.word
        for part in others
        if part.kind not in IDLE and not (first.sums_up and part.shifts)
    ]
    more = [f"{len(told) - MOST} more"] if len(told) > MOST else []
    named = next((one.origin for one in (first, *others) if one.origin.name), first.origin)
    what = " + ".join([first.what, *told[:MOST], *more])
    return replace(first.origin, name=named.name, what=what, label=first.word)
