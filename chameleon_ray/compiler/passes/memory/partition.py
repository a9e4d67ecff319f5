"""Splits convolutions of concatenations into parts.

Graph rewriting decides on a plain graph what is split, and the order in which the parts are added
up. Here the parts get their slices of the weights. A part that adds to the sum so far is kept
together with that addition (``group_sums``). So it becomes one loop nest that can write in place.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tvm import relax
from tvm.ir import Call, GenericConst, IRModule
from tvm.relax.dpl import is_op, wildcard

from chameleon_ray.compiler.origin import Origin, origin_of, with_origins
from chameleon_ray.compiler.passes.fold import rewrite as replaced
from chameleon_ray.compiler.passes.fused_origins import with_fused_origins
from chameleon_ray.compiler.passes.memory.groups import (
    POINTWISE,
    Group,
    Reading,
    kind_of,
    ordered_vars,
)
from chameleon_ray.compiler.relax import bindings_of, constant, operator
from chameleon_ray.graph.graph import ADD, CONCAT, CONV, DEPTHWISE, Graph, Node, bits
from chameleon_ray.graph.rewriting import rewrite
from chameleon_ray.graph.scheduler import schedule
from chameleon_ray.options import Scheduling


def partition(module: IRModule, options: Scheduling | None = None) -> IRModule:
    """Splits convolutions of concatenations where that lowers the least possible peak.

    Args:
        module: With constants and batch norms folded, convolutions in NCHW.
        options: Options of the search for the orders that are compared.

    Raises:
        Unplannable: It has control flow, or tensors whose size is not known.
    """
    reading = Reading(_each_part(module))
    before = reading.graph()
    after = rewrite(before)
    if not any(node.part is not None and node.kind != ADD for node in after.nodes):
        return module
    best = schedule(after, options)
    if best.peak >= schedule(before, options).peak:
        return module
    return Writing(module, reading, after).write(best.order)


def group_sums(module: IRModule) -> IRModule:
    """Fuses each convolution that only an addition reads with the addition and its ReLU.

    Each of them becomes a primitive function. Equal expressions, such as transposes of the same
    input, are merged before.
    """
    module = relax.transform.EliminateCommonSubexpr()(module)
    module = relax.transform.CanonicalizeBindings()(module)
    conv, other = is_op("relax.nn.conv2d")(wildcard(), wildcard()), wildcard()
    added = is_op("relax.add")(conv, other)

    def varies(context: Any) -> bool:
        """Whether the other summand varies and nothing else reads the convolution.

        If something else did, the other summand could depend on it.
        """
        product = context.value_to_bound_var[context.annotated_expr["conv"]]
        alone = isinstance(product, relax.DataflowVar) and len(context.var_usages[product]) == 1
        return alone and not isinstance(context.annotated_expr["other"], GenericConst)

    patterns = [("sum_relu", is_op("relax.nn.relu")(added)), ("sum", added)]
    parts = {"conv": conv, "other": other}
    fused = [(name, pattern, parts, varies) for name, pattern in patterns]
    grouped = relax.transform.FuseOpsByPattern(fused, bind_constants=False)(module)
    return with_fused_origins(module, grouped)


def _each_part(module: IRModule) -> IRModule:
    """Applies pointwise operators to a concatenation's parts, unless a reader needs it whole."""
    module = relax.transform.EliminateCommonSubexpr()(module)
    module = relax.transform.CanonicalizeBindings()(module)
    bindings = bindings_of(module)
    values = {binding.var: binding.value for binding in bindings}
    others = {v for b in bindings if not _takes_parts(b.value) for v in ordered_vars(b.value)}
    others |= set(relax.analysis.free_vars(module["main"].body.body))

    def spread(binding: relax.Binding) -> relax.Expr:
        value = binding.value
        joined: Any = values.get(value.args[0]) if operator(value) in POINTWISE else None
        if operator(joined) != "relax.concat" or value.args[0] in others:
            return value
        rest = list(value.args[1:])
        parts = [Call(value.op, [part, *rest], value.attrs) for part in joined.args[0].fields]
        return Call(joined.op, [relax.Tuple(parts)], joined.attrs)

    module = replaced(module, spread)
    return relax.transform.DeadCodeElimination(["main"])(module)


def _takes_parts(value: relax.Expr) -> bool:
    return operator(value) in POINTWISE or (isinstance(value, Call) and bool(kind_of(value)))


CONV_ATTRS = (
    *("strides", "padding", "dilation"),
    *("data_layout", "kernel_layout", "out_layout", "out_dtype"),
)


class Writing:
    """Writes a new ``main``, node by node."""

    def __init__(self, module: IRModule, reading: Reading, graph: Graph) -> None:
        self.module, self.reading, self.graph = module, reading, graph
        self.builder = relax.BlockBuilder()
        self.values: dict[int, relax.Expr] = {}
        self.known: dict[relax.Var, relax.Expr] = {}
        self.sums: dict[int, relax.Expr] = {}
        self.left = [writers.bit_count() for writers in graph.writers]
        self.shifted: set[int] = set()
        self.origins: dict[relax.Var, Origin] = {}
        for number, param in enumerate(reading.params, len(reading.groups)):
            self.values[number] = param

    def write(self, order: Sequence[int]) -> IRModule:
        """Returns the module with the graph's nodes in the given order."""
        main, builder = self.module["main"], self.builder
        attrs = dict(main.attrs) if main.attrs else {}
        with builder.function("main", list(main.params), attrs):
            with builder.dataflow():
                for binding in self.reading.first:
                    self.known[binding.var] = self._emit(binding.value, binding)
                for number in order:
                    self._node(self.graph.nodes[number])
                output = builder.emit_output(self._renewed(main.body.body))
            builder.emit_func_output(output)
        functions = dict(self.module.functions)
        main_variable = self.module.get_global_var("main")
        functions[main_variable] = builder.get()["main"]
        changed = IRModule(functions, attrs=self.module.attrs)
        return relax.transform.Normalize()(with_origins(changed, self.origins))

    def _emit(self, value: relax.Expr, of: relax.Binding, part: bool = False) -> relax.Var:
        """Binds a value that takes the place of a binding of the model, or of a part of one."""
        var, origin = self.builder.emit(value), origin_of(of.var)
        if origin is not None:
            what = f"part of {origin.what}" if part and origin.what else origin.what
            self.origins[var] = replace(origin, what=what)
        return var

    def _node(self, node: Node) -> None:
        group = self.reading.groups[int(node.of)]
        if node.kind == DEPTHWISE and node.part is not None:
            self._piece(node, group)
        elif self.graph.writers[node.writes].bit_count() > 1 or node.writes != int(node.of):
            self._summand(node, group)
        else:
            self._whole(node, group)

    def _whole(self, node: Node, group: Group) -> None:
        """Writes an operation as it was, except that its inputs may have become several tensors."""
        value = group.bindings[0].value
        if node.kind in (CONCAT, DEPTHWISE) and len(node.reads) > 1:
            joined = relax.op.concat([self.values[buffer] for buffer in node.reads], axis=1)
            if node.kind == DEPTHWISE:
                self.known[value.args[0]] = self._emit(joined, group.bindings[0])
            else:
                self.known[group.var] = self.values[node.writes] = self._emit(
                    joined, group.bindings[0]
                )
                return
        for binding in group.bindings:
            self.known[binding.var] = self._emit(self._renewed(binding.value), binding)
        self.values[node.writes] = self.known[group.var]

    def _piece(self, node: Node, group: Group) -> None:
        """Writes a depthwise convolution of some of the channels."""
        conv, first, count = group.bindings[0].value, *self._channels(node)
        times = int(conv.args[1].ty.shape[0]) // int(conv.attrs.groups)
        rows = slice(first * times, (first + count) * times)
        attrs = {name: getattr(conv.attrs, name) for name in CONV_ATTRS}
        weight = _cut(conv.args[1], rows, 0)
        value = relax.op.nn.conv2d(self.values[node.reads[0]], weight, groups=count, **attrs)
        value = self._emit(value, group.bindings[0], part=True)
        for binding in group.bindings[1:]:
            args = [
                value if isinstance(arg, relax.Var) else _cut(arg, rows, 1, value.ty.ndim)
                for arg in binding.value.args
            ]
            value = self._emit(Call(binding.value.op, args, binding.value.attrs), binding)
        self.values[node.writes] = value

    def _summand(self, node: Node, group: Group) -> None:
        """Adds one part to a sum; the last one completes it."""
        place = node.writes
        term = self.values[node.reads[0]]
        if node.kind == CONV:
            conv = group.bindings[0].value
            first, count = self._channels(node)
            weight = _cut(conv.args[1], slice(first, first + count), 1)
            term = self._emit(
                Call(conv.op, [term, weight], conv.attrs), group.bindings[0], part=True
            )
            if place not in self.shifted:
                term = self._shift(place, term)
        if place in self.sums:
            term = self._emit(relax.op.add(term, self.sums[place]), group.bindings[0])
        self.sums[place] = term
        self.left[place] -= 1
        if self.left[place] == 0:
            self._complete(place)

    def _shift(self, place: int, term: relax.Expr) -> relax.Expr:
        """Adds the constants that belong to the sum, or to any of its parts."""
        self.shifted.add(place)
        convs = (self.graph.nodes[n] for n in bits(self.graph.writers[place]))
        members = {place} | {int(node.of) for node in convs if node.kind == CONV}
        shifts = [shift for one in sorted(members) for shift in self.reading.groups[one].shifts]
        if not shifts:
            return term
        total = constant(sum(shifts[1:], shifts[0]), str(term.ty.dtype))
        return self.builder.emit(relax.op.add(term, total))

    def _complete(self, place: int) -> None:
        """Writes the operations that follow a finished sum."""
        group, value = self.reading.groups[place], self.sums[place]
        for binding in group.rest:
            args = [value if isinstance(arg, relax.Var) else arg for arg in binding.value.args]
            value = self._emit(Call(binding.value.op, args, binding.value.attrs), binding)
        self.known[group.var] = self.values[place] = value

    def _channels(self, node: Node) -> tuple[int, int]:
        """Returns a part's first channel, among those that the whole reads, and their number."""
        count = self._width(node.reads[0])
        if node.part is None:
            return 0, count
        others = [n for n in self.graph.nodes if n.of == node.of and (n.part or 0) < node.part]
        return sum(self._width(other.reads[0]) for other in others), count

    def _width(self, buffer: int) -> int:
        """Returns the channels of a buffer, which may not be written yet."""
        groups = self.reading.groups
        if buffer in self.values:
            return int(self.values[buffer].ty.shape[1])
        if buffer < len(groups):
            return int(groups[buffer].var.ty.shape[1])
        (number,) = bits(self.graph.writers[buffer])
        node = self.graph.nodes[number]
        attrs, weight = groups[int(node.of)].bindings[0].value.attrs, groups[int(node.of)]
        times = int(weight.bindings[0].value.args[1].ty.shape[0]) // int(attrs.groups)
        return self._width(node.reads[0]) * times

    def _renewed(self, value: relax.Expr) -> relax.Expr:
        """Rewrites an expression in terms of the new values of its variables."""
        if isinstance(value, relax.Var):
            return self.known.get(value, value)
        if isinstance(value, relax.Tuple):
            return relax.Tuple([self._renewed(one) for one in value.fields])
        if isinstance(value, relax.TupleGetItem):
            return relax.TupleGetItem(self._renewed(value.tuple_value), value.index)
        if isinstance(value, Call):
            args = [self._renewed(arg) for arg in value.args]
            return Call(value.op, args, value.attrs, value.ty_args)
        return value


def _cut(value: Any, part: slice, axis: int, rank: int | None = None) -> Any:
    """Cuts a constant to a share of the channels.

    A constant with one element for all channels stays whole.

    Args:
        value: A constant; anything else is left as it is.
        part: The channels to keep.
        axis: The axis of the channels.
        rank: Rank that the constant is broadcast to, where that may be larger than its own.
    """
    if not isinstance(value, GenericConst):
        return value
    array = value.value.numpy()
    array = array.reshape((1,) * ((rank or array.ndim) - array.ndim) + array.shape)
    if array.shape[axis] > 1 or rank is None:
        array = array[(slice(None),) * axis + (part,)]
    return constant(array, str(value.ty.dtype))
