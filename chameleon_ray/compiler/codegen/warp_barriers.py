"""Barriers of warps, which TVM asks for and its code generator for CUDA leaves out.

TVM adds up in shared memory, step by step, what the threads of a warp have where it does not
shuffle their type, as bfloat16. Between the steps these threads have to wait for each other. The
code generator writes nothing there. Since NVIDIA's Volta the threads of a warp need not go in step,
so one may load before another has stored.
"""

from functools import cache
from typing import Any

import tvm_ffi
from tvm import tirx
from tvm.ir import Call, IRModule

from chameleon_ray.compiler.codegen.barriers import loop_of

GENERATE = "target.build.cuda"
"""TVM's code generator for CUDA, by its global name."""
BARRIER = "tirx.tvm_storage_sync"
ALL = 0xFFFFFFFF
"""The mask of all threads of a warp."""


@cache
def write_warp_barriers() -> None:
    """Has TVM's code generator write them from now on, in this process."""
    generate = tvm_ffi.get_global_func(GENERATE)

    def generated(module: Any, target: Any) -> Any:
        return generate(with_warp_barriers(module), target)

    tvm_ffi.register_global_func(GENERATE, generated, override=True)


def with_warp_barriers(module: IRModule) -> IRModule:
    """Puts calls of CUDA's own barrier where lowered kernels ask for barriers of warps."""
    made = module.clone()
    for name, function in module.functions.items():
        if isinstance(function, tirx.PrimFunc):
            body = _written(function.body)
            if not body.same_as(function.body):
                made.update_func(name, function.with_body(body))
    return made


def _written(statement: Any) -> Any:
    """Returns a statement with barriers; one without any is returned itself."""
    if isinstance(statement, tirx.SeqStmt):
        return _sequence(statement)
    if isinstance(statement, tirx.AttrStmt):
        body = _written(statement.body)
        same = body.same_as(statement.body)
        parts = statement.node, statement.attr_key, statement.value, body, statement.span
        return statement if same else tirx.AttrStmt(*parts)
    if isinstance(statement, tirx.For):
        body = _written(statement.body)
        return statement if body.same_as(statement.body) else loop_of(statement, body)
    if isinstance(statement, tirx.IfThenElse):
        then, other = statement.then_case, statement.else_case
        cases = [_written(then), other and _written(other)]
        same = cases[0].same_as(then) and (other is None or cases[1].same_as(other))
        return statement if same else tirx.IfThenElse(statement.condition, *cases, statement.span)
    return statement


def _sequence(statement: Any) -> Any:
    steps = list(statement.seq)
    followers = [*steps[1:], None]
    made = [
        _in_step(step) if _together(step, follower) else _written(step)
        for step, follower in zip(steps, followers, strict=True)
    ]
    same = all(one.same_as(step) for one, step in zip(made, steps, strict=True))
    return statement if same else tirx.SeqStmt(made)


def _together(step: Any, follower: Any) -> bool:
    """Whether some threads of each warp do a step with such barriers, and all come to it.

    They all do where a barrier of the block follows.
    """
    return (
        isinstance(step, tirx.IfThenElse)
        and step.else_case is None
        and isinstance(step.then_case, tirx.SeqStmt)
        and any(_waits(one, "warp") for one in step.then_case.seq)
        and _waits(follower, "shared")
    )


def _waits(statement: Any, scope: str) -> bool:
    """Whether a statement is a barrier of a scope."""
    if not isinstance(statement, tirx.Evaluate) or not isinstance(statement.value, Call):
        return False
    call: Any = statement.value
    return getattr(call.op, "name", "") == BARRIER and bool(call.args[0].value == scope)


def _in_step(step: Any) -> Any:
    """Has the threads that do a step wait for each other; first all say whether they do it."""
    lanes = tirx.Var("lanes", "uint32")
    voted = tirx.call_extern("uint32", "__ballot_sync", tirx.const(ALL, "uint32"), step.condition)
    barrier = tirx.Evaluate(tirx.call_extern("int32", "__syncwarp", lanes))
    body = [barrier if _waits(one, "warp") else one for one in step.then_case.seq]
    whole = tirx.IfThenElse(step.condition, tirx.SeqStmt(body), None, step.span)
    return tirx.SeqStmt([tirx.Bind(lanes, voted), whole])
