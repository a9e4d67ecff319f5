"""Models that allocate the workspaces of their layers themselves."""

import numpy as np
import pytest
import tvm
from tvm import relax
from tvm.script import tirx as T

from chameleon_ray.compiler.codegen.workspaces import owned, workspaces_of

SIZE = 64
TENSOR = relax.TensorType((SIZE,), "float32")


@T.prim_func(s_tir=True)
def doubled(a: T.Buffer((SIZE,), "float32"), b: T.Buffer((SIZE,), "float32")) -> None:
    """Doubles numbers by way of a workspace."""
    w = T.sblock_alloc_buffer((SIZE,), "float32")
    for i in range(SIZE):
        with T.sblock("sums"):
            v = T.axis.spatial(SIZE, i)
            w[v] = a[v] + a[v]
    for i in range(SIZE):
        with T.sblock("results"):
            v = T.axis.spatial(SIZE, i)
            b[v] = w[v]


@T.prim_func(s_tir=True)
def halved(
    a: T.Buffer((SIZE,), "float32"),
    b: T.Buffer((SIZE,), "float32"),
    c: T.Buffer((SIZE,), "float32"),
) -> None:
    """Gives halves and their opposites, without a workspace."""
    for i in range(SIZE):
        with T.sblock("halves"):
            v = T.axis.spatial(SIZE, i)
            b[v] = a[v] * T.float32(0.5)
            c[v] = a[v] * T.float32(-0.5)


@T.prim_func(s_tir=True)
def squared(
    a: T.Buffer((SIZE,), "float32"),
    b: T.Buffer((SIZE,), "float32"),
    c: T.Buffer((SIZE,), "float32"),
) -> None:
    """Gives squares and cubes by way of two workspaces."""
    w = T.sblock_alloc_buffer((SIZE,), "float32")
    x = T.sblock_alloc_buffer((SIZE,), "float32")
    for i in range(SIZE):
        with T.sblock("squares"):
            v = T.axis.spatial(SIZE, i)
            w[v] = a[v] * a[v]
            x[v] = a[v] * a[v] * a[v]
    for i in range(SIZE):
        with T.sblock("results"):
            v = T.axis.spatial(SIZE, i)
            b[v] = w[v]
            c[v] = x[v]


def model(*, inplace: bool = False) -> tvm.IRModule:
    """Two functions with workspaces and one without, which have one output or two."""
    builder = relax.BlockBuilder()
    x = relax.Var("x", TENSOR)
    functions = {f.attrs["global_symbol"]: f for f in (doubled, halved, squared)}
    variables = {name: builder.add_func(f, name) for name, f in functions.items()}
    with builder.function("main", [x]):
        with builder.dataflow():
            copy = builder.emit(relax.op.add(x, x))
            if inplace:
                call = relax.op.call_tir_inplace(variables["doubled"], [copy, copy], [1], TENSOR)
            else:
                call = relax.call_tir(variables["doubled"], [copy], TENSOR)
            two = builder.emit(call)
            both = builder.emit(relax.call_tir(variables["halved"], [two], [TENSOR, TENSOR]))
            half = builder.emit(relax.TupleGetItem(both, 0))
            call = relax.call_tir(variables["squared"], [half], [TENSOR, TENSOR])
            powers = builder.emit(call)
            result = builder.emit_output(powers)
        builder.emit_func_output(result)
    return builder.get()


def outputs(module: tvm.IRModule) -> list[np.ndarray]:
    executable = tvm.compile(module, tvm.target.Target("llvm"))
    x = np.linspace(-1, 1, SIZE, dtype="float32")
    machine = relax.VirtualMachine(executable, tvm.cpu())
    return [one.numpy() for one in machine["main"](tvm.runtime.tensor(x))]


@pytest.mark.parametrize("inplace", [False, True])
def test_no_layer_has_a_workspace_and_the_model_does_the_same(inplace: bool) -> None:
    module = model(inplace=inplace)
    changed = owned(module)
    names = {variable.name_hint for variable in changed.functions}
    assert names == {"main", "doubled", "halved", "squared"}
    assert [len(workspaces_of(module[name])) for name in sorted(names)] == [1, 0, 0, 2]
    assert not any(workspaces_of(function) for function in changed.functions.values())
    assert [len(changed[name].params) for name in sorted(names)] == [3, 3, 1, 5]
    squares, cubes = outputs(changed)
    x = np.linspace(-2, 2, SIZE, dtype="float32")
    np.testing.assert_allclose(squares, x**2, rtol=1e-6)
    np.testing.assert_allclose(cubes, x**3, rtol=1e-6)
    for one, other in zip(outputs(module), (squares, cubes), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_module_without_workspaces_is_left_alone() -> None:
    module = tvm.IRModule({"halved": halved})
    assert owned(module).same_as(module)


def test_a_buffer_of_one_kernel_is_no_workspace() -> None:
    """Each of its threads may have its own; but it is one where the kernels are two."""
    schedule = tvm.s_tir.Schedule(doubled)
    for name in ("sums", "results"):
        (loop,) = schedule.get_loops(schedule.get_sblock(name))
        schedule.bind(loop, "threadIdx.x")
    assert len(workspaces_of(schedule.mod["main"])) == 1
    schedule = tvm.s_tir.Schedule(doubled)
    (loop,) = schedule.get_loops(schedule.get_sblock("results"))
    schedule.compute_at(schedule.get_sblock("sums"), loop)
    assert len(workspaces_of(schedule.mod["main"])) == 1
    schedule.bind(loop, "threadIdx.x")
    assert workspaces_of(schedule.mod["main"]) == []


def test_a_workspace_of_a_size_known_at_run_time_is_left_alone() -> None:
    @T.prim_func(s_tir=True)
    def copied(x: T.handle, y: T.handle) -> None:
        n = T.int64()
        a = T.match_buffer(x, (n,), "float32")
        b = T.match_buffer(y, (n,), "float32")
        w = T.sblock_alloc_buffer((n,), "float32")
        for i in range(n):
            with T.sblock("copy"):
                v = T.axis.spatial(n, i)
                w[v] = a[v]
        for i in range(n):
            with T.sblock("result"):
                v = T.axis.spatial(n, i)
                b[v] = w[v]

    module = tvm.IRModule({"copied": copied})
    assert owned(module).same_as(module)
