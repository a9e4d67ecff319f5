"""Workspaces of layers that a model allocates itself, so that recorded graphs own what they use.

A layer of several kernels passes results on in a workspace, and a vendor's algorithm may need one,
too. By itself such a layer takes it from a pool that all models of a thread share. The pool frees
one that is too small for a later request, and a graph that was recorded before would go on to use
it. What a model allocates is its own for as long as its graphs may be repeated.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tvm
import tvm_ffi
from tvm import relax
from tvm.ir import Call
from tvm.relax.expr_functor import PyExprMutator, mutator
from tvm.s_tir.stmt import SBlock, SBlockRealize

from chameleon_ray.compiler.relax import operator

CALLS = ("relax.call_tir", "relax.call_tir_inplace")


def owned(module: Any) -> Any:
    """Makes the workspaces of a model's layers further outputs of them, which nothing reads.

    A workspace whose size is known only at run time is left alone, as its layer is never recorded.

    Args:
        module: Relax module whose PrimFuncs are scheduled.
    """
    found = {v.name_hint: workspaces_of(f) for v, f in module.functions.items()}
    workspaces = {name: buffers for name, buffers in found.items() if buffers}
    if not workspaces:
        return module
    builder = relax.BlockBuilder()  # which gives the changed functions variables of their types
    changed = {
        name: builder.add_func(_taking(module[name], buffers), name)
        for name, buffers in workspaces.items()
    }
    calling, functions = _Calling(changed, workspaces), dict(builder.get().functions)
    for variable, function in module.functions.items():
        if isinstance(function, relax.Function):
            functions[variable] = calling.visit_expr(function)
        elif variable.name_hint not in changed:
            functions[variable] = function
    return tvm.IRModule(functions, attrs=module.attrs, global_infos=module.global_infos)


def workspaces_of(function: Any) -> list[Any]:
    """Returns the buffers of known sizes that a PrimFunc allocates for all of its kernels.

    What one kernel alone uses is no workspace, as each of its threads may have its own.
    """
    if not isinstance(function, tvm.tirx.PrimFunc) or not isinstance(function.body, SBlockRealize):
        return []
    root = function.body.block
    return [
        buffer
        for buffer in root.alloc_buffers
        if buffer.scope() == "global"
        and all(isinstance(extent, tvm.tirx.IntImm) for extent in buffer.shape)
        and not _is_of_one_kernel(buffer, root.body)
    ]


def _is_of_one_kernel(buffer: Any, body: Any) -> bool:
    """Whether the blocks that use a buffer are all in one loop nest that is bound to threads."""
    parts = body.seq if isinstance(body, tvm.tirx.SeqStmt) else [body]
    using = [part for part in parts if _found(part, SBlock, lambda block: _uses(block, buffer))]
    return len(using) == 1 and _found(
        using[0], tvm.tirx.For, lambda loop: loop.thread_binding is not None
    )


def _uses(block: Any, buffer: Any) -> bool:
    regions = [*block.reads, *block.writes]
    return any(region.source.same_as(buffer) for region in regions)


def _found(part: Any, kind: Any, wanted: Callable[[Any], Any]) -> bool:
    """Whether a statement has a node of some kind that is wanted."""
    found: list[bool] = []
    tvm_ffi.structural_walk(part, (kind, lambda node: found.append(bool(wanted(node)))))
    return any(found)


def _taking(function: Any, workspaces: Sequence[Any]) -> Any:
    """Makes workspaces of a PrimFunc its last parameters."""
    root = function.body.block
    left = [one for one in root.alloc_buffers if not any(map(one.same_as, workspaces))]
    block = SBlock(
        root.iter_vars,
        root.reads,
        root.writes,
        root.name_hint,
        root.body,
        root.init,
        left,
        root.match_buffers,
        root.annotations,
    )
    body = SBlockRealize(function.body.iter_values, function.body.predicate, block)
    params = [*function.params, *workspaces]
    return tvm.tirx.PrimFunc(params, body, function.ret_type, function.attrs)


@mutator
class _Calling(PyExprMutator):  # type: ignore[misc]
    """Has changed PrimFuncs called in the place of others, and passes on all but workspaces."""

    def __init__(self, changed: Mapping[str, Any], workspaces: Mapping[str, Sequence[Any]]) -> None:
        super().__init__()
        self._changed, self._workspaces = changed, workspaces

    def visit_call_(self, op: Call) -> relax.Expr:
        call = super().visit_call_(op)
        name = call.args[0].name_hint if operator(call) in CALLS else ""
        if name not in self._changed:
            return call
        (ty,), args = call.ty_args, call.args[1]
        single, more = isinstance(ty, relax.TensorType), self._workspaces[name]
        results = [ty] if single else list(ty.fields)
        types = [*results, *(relax.TensorType(one.shape, str(one.dtype)) for one in more)]
        if operator(call) == "relax.call_tir":
            made = relax.call_tir(self._changed[name], args, types)
        else:
            places = [*map(int, call.attrs.inplace_indices), *[-1] * len(more)]
            made = relax.op.call_tir_inplace(self._changed[name], args, places, types)
        outputs = self.builder_.emit(made)
        kept = [relax.TupleGetItem(outputs, place) for place in range(len(results))]
        return kept[0] if single else relax.Tuple(kept)
