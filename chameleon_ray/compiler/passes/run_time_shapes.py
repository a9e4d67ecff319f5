"""Keeps what is computed before an extent is learnt at run time before it.

TVM (0.27) forgets that a symbolic extent is only known from the cast that binds it on. ``FuseOps``
moves the cast behind operators that need the extent, and ``ConvertLayout`` fails on it. Neither
looks beyond a dataflow block, and neither touches a cast outside of one. So the blocks end there.
"""

from tvm import relax
from tvm.ir import IRModule
from tvm.relax.expr_functor import PyExprMutator, mutator

from chameleon_ray.compiler.relax import bindings_of


def end_blocks_at_casts(mod: IRModule) -> IRModule:
    """Returns the module with each cast of ``main`` outside of the dataflow blocks around it.

    Args:
        mod: Its ``main`` is in dataflow form.
    """
    if not any(isinstance(binding, relax.MatchCast) for binding in bindings_of(mod)):
        return mod
    main = mod["main"]
    blocks: list[relax.BindingBlock] = []
    for block in main.body.blocks:
        blocks += _parts(block)
    changed = IRModule(mod.functions, attrs=mod.attrs, global_infos=mod.global_infos)
    body = relax.SeqExpr(blocks, main.body.body)
    whole = relax.Function(main.params, body, main.ret_ty, main.is_pure, main.attrs)
    changed["main"] = _Global().visit_expr(whole)
    return relax.transform.CanonicalizeBindings()(relax.transform.Normalize()(changed))


def _parts(block: relax.BindingBlock) -> list[relax.BindingBlock]:
    """Splits a block at its casts."""
    parts: list[relax.BindingBlock] = []
    kept: list[relax.Binding] = []
    for binding in block.bindings:
        if isinstance(binding, relax.MatchCast):
            parts += [type(block)(kept), relax.BindingBlock([binding])] if kept else []
            parts += [] if kept else [relax.BindingBlock([binding])]
            kept = []
        else:
            kept.append(binding)
    return [*parts, type(block)(kept)] if kept else parts


@mutator
class _Global(PyExprMutator):
    """Makes every variable one that other blocks may read; canonicalising takes back the rest."""

    def __init__(self) -> None:
        super().__init__()
        self._made: dict[relax.Var, relax.Var] = {}

    def visit_dataflow_var_def_(self, var: relax.DataflowVar) -> relax.Var:
        return self._made.setdefault(var, relax.Var(var.name, var.ty, var.span))

    def visit_dataflow_var_(self, var: relax.DataflowVar) -> relax.Var:
        return self._made.get(var, var)
