"""If with a constant condition: its branch takes its place, and shapes behind it are known."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from chameleon_ray.compiler.frontend.onnx.branches import choose
from chameleon_ray.compiler.frontend.onnx.onnx_file import import_file
from chameleon_ray.compiler.relax import bindings_of
from tests.tvm.onnx_graph import assert_like_onnxruntime, graph

node = helper.make_node
X = np.arange(6, dtype="float32").reshape(2, 3) - 2


def branch(
    nodes: list[onnx.NodeProto], output: str, weights: dict[str, np.ndarray] | None = None
) -> onnx.GraphProto:
    return helper.make_graph(
        nodes,
        "branch",
        [],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in (weights or {}).items()],
    )


def inner() -> onnx.NodeProto:
    """A choice at run time, whose branches read names of the branch that it is in."""
    branches = {
        "then_branch": branch([node("Mul", ["v", "two"], ["w"])], "w"),
        "else_branch": branch([node("Neg", ["v"], ["w"])], "w"),
    }
    return node("If", ["at_run_time"], ["chosen"], **branches)


BRANCHES = {
    "then_branch": branch(
        [node("Add", ["x", "two"], ["v"]), node("Concat", ["v", "x"], ["out"], axis=1)],
        "out",
        {"two": np.float32(2)},
    ),
    "else_branch": branch(
        [node("Sub", ["x", "two"], ["v"]), inner()], "chosen", {"two": np.float32(3)}
    ),
}


def chosen_twice(first: bool, second: bool) -> onnx.ModelProto:
    """Two choices of the same branches, so that the names inside them are there twice."""
    nodes = [
        node("ReduceSum", ["x"], ["sum"], keepdims=0),
        node("Greater", ["sum", "limit"], ["at_run_time"]),
        node("If", ["first"], ["a"], **BRANCHES),
        node("If", ["second"], ["b"], **BRANCHES),
        node("Concat", ["a", "b"], ["y"], axis=1),
    ]
    weights = {"first": np.array(first), "second": np.array([second]), "limit": np.float32(0)}
    return graph(nodes, {"x": X}, ["y"], weights)


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("second", [True, False])
def test_the_chosen_branch_is_computed(first: bool, second: bool, tmp_path: Path) -> None:
    assert_like_onnxruntime(chosen_twice(first, second), {"x": X}, tmp_path)


def test_shapes_behind_a_constant_choice_are_static(tmp_path: Path) -> None:
    path = tmp_path / "chosen.onnx"
    onnx.save(chosen_twice(True, True), path)
    bindings = bindings_of(import_file(path, []).module)
    assert [int(size) for size in bindings[-1].var.ty.shape] == [2, 12]


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (branch([], "x"), ["Identity x y"]),
        (branch([node("Neg", ["x"], ["v"])], "v"), ["Neg x y"]),
        (branch([node("Constant", [], ["c"]), node("Neg", ["c"], ["v"])], "v"), 2),
        (branch([], "w", {"w": np.float32(1)}), ["Identity y.w y"]),
    ],
)
def test_names_in_the_place_of_a_choice(chosen: onnx.GraphProto, expected: object) -> None:
    other = branch([node("Abs", ["x"], ["o"])], "o")
    nodes = [node("If", ["yes"], ["y"], then_branch=chosen, else_branch=other)]
    made = helper.make_graph(nodes, "g", [], [], [numpy_helper.from_array(np.array(True), "yes")])
    assert choose(made)
    found = [" ".join([one.op_type, *one.input, *one.output]) for one in made.node]
    assert found == (["Constant y.c", "Neg y.c y"] if expected == 2 else expected)
    assert not choose(made)
