"""Loop, Scan, If and sequences of ONNX, against ONNX Runtime."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from chameleon_ray.compiler.frontend.load import ModelError
from tests.tvm.onnx_graph import assert_like_onnxruntime, assert_same, computed, graph

node = helper.make_node
FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL


def value(name: str, kind: int = FLOAT, shape: tuple[int, ...] = (3,)) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def drawn(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).standard_normal(shape).astype("float32")


def body(condition: list[onnx.NodeProto]) -> onnx.GraphProto:
    """Adds to the state a row of ``rows``, stacks twice the state; ``condition`` makes ``go``."""
    nodes = [
        *condition,
        node("Gather", ["rows", "i"], ["row"]),
        node("Add", ["state", "row"], ["new"]),
        node("Add", ["new", "new"], ["twice"]),
    ]
    return helper.make_graph(
        nodes,
        "body",
        [value("i", INT64, ()), value("on", BOOL, ()), value("state")],
        [value("go", BOOL, ()), value("new"), value("twice")],
    )


def looped(
    condition: list[onnx.NodeProto], count: int, **given: np.ndarray
) -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
    feeds = {"rows": drawn(6, 3), "start": drawn(3)}
    weights = {"count": np.array(count), "three": np.array(3), "yes": np.array(True), **given}
    weights["limit"] = np.array(1.0, "float32")
    loop = node("Loop", ["count", "yes", "start"], ["last", "all"], body=body(condition))
    return graph([loop, node("Relu", ["all"], ["y"])], feeds, ["last", "y"], weights), feeds


@pytest.mark.parametrize(
    ("condition", "count"),
    [
        (["Identity on go"], 4),
        (["Less i three go"], 6),
        (["Identity on go"], 0),
        (["ReduceMax new top", "Less top limit low", "Squeeze low go"], 6),
    ],
)
def test_loop(condition: list[str], count: int, tmp_path: Path) -> None:
    nodes = []
    for line in condition:
        kind, *inputs, output = line.split()
        nodes.append(node(kind, [name.replace("new", "state") for name in inputs], [output]))
    assert_like_onnxruntime(*looped(nodes, count), tmp_path)


def test_a_number_of_iterations_that_is_known_counts_more_than_a_declared_one(
    tmp_path: Path,
) -> None:
    model, feeds = looped([node("Identity", ["on"], ["go"])], 4)
    model.graph.value_info.append(value("all", FLOAT, (2, 3)))
    del model.graph.output[1].type.tensor_type.shape.dim[0]
    model.graph.output[1].CopyFrom(helper.make_tensor_value_info("y", FLOAT, ("n", 3)))
    last = feeds["start"] + feeds["rows"][:4].sum(0)
    assert_same(computed(model, feeds, tmp_path)[:1], [last])


def test_loops_within_loops(tmp_path: Path) -> None:
    inner = body([node("Identity", ["on"], ["go"])])
    outer = helper.make_graph(
        [
            node("Loop", ["count", "yes", "x"], ["y", "unused"], body=inner),
            node("Identity", ["c"], ["d"]),
        ],
        "outer",
        [value("j", INT64, ()), value("c", BOOL, ()), value("x")],
        [value("d", BOOL, ()), value("y")],
    )
    feeds = {"rows": drawn(2, 3), "start": drawn(3)}
    weights = {"count": np.array(2), "yes": np.array(True)}
    model = graph(
        [node("Loop", ["count", "yes", "start"], ["z"], body=outer)], feeds, ["z"], weights
    )
    assert_like_onnxruntime(model, feeds, tmp_path)


def test_loops_of_unknown_length_are_refused(tmp_path: Path) -> None:
    model, feeds = looped([node("Identity", ["on"], ["go"])], 3)
    feeds["count"] = np.array(3)
    (weight,) = (one for one in model.graph.initializer if one.name == "count")
    model.graph.initializer.remove(weight)
    model.graph.input.append(value("count", INT64, ()))
    with pytest.raises(ModelError, match="number of iterations is computed at run time"):
        computed(model, feeds, tmp_path)


def test_scan(tmp_path: Path) -> None:
    inner = helper.make_graph(
        [
            node("Add", ["state", "a"], ["sum"]),
            node("Mul", ["sum", "b"], ["new"]),
            node("Identity", ["new"], ["out"]),
        ],
        "body",
        [value("state"), value("a"), value("b")],
        [value("new"), value("out")],
    )
    feeds = {"s": drawn(3), "x": drawn(3, 5), "z": drawn(5, 3)}
    attributes = {
        "num_scan_inputs": 2,
        "scan_input_axes": [1, 0],
        "scan_input_directions": [0, 1],
        "scan_output_axes": [-1],
        "scan_output_directions": [1],
    }
    nodes = [node("Scan", ["s", "x", "z"], ["last", "y"], body=inner, **attributes)]
    assert_like_onnxruntime(graph(nodes, feeds, ["last", "y"]), feeds, tmp_path)


@pytest.mark.parametrize("sign", [1, -1])
def test_branches_may_give_different_shapes(sign: int, tmp_path: Path) -> None:
    branches = {
        name: helper.make_graph(nodes, name, [], [value("out", FLOAT, shape)])
        for name, nodes, shape in [
            ("then_branch", [node("Concat", ["x", "x"], ["out"], axis=0)], (6,)),
            ("else_branch", [node("Neg", ["x"], ["out"])], (3,)),
        ]
    }
    nodes = [
        node("ReduceSum", ["x"], ["sum"], keepdims=0),
        node("Greater", ["sum", "zero"], ["positive"]),
        node("If", ["positive"], ["chosen"], **branches),
        node("Relu", ["chosen"], ["y"]),
    ]
    feeds = {"x": sign * np.array([1, 2, 3], "float32")}
    model = graph(nodes, feeds, ["y"], {"zero": np.array(0, "float32")})
    assert_like_onnxruntime(model, feeds, tmp_path)


def test_sizes_behind_a_branch_are_known(tmp_path: Path) -> None:
    def choosing(name: str, condition: str, data: str, operator: str) -> onnx.NodeProto:
        branches = {
            f"{kind}_branch": helper.make_graph(
                [node(one, inputs, [f"{name}_{kind}"])],
                kind,
                [],
                [value(f"{name}_{kind}", FLOAT, None)],
            )
            for kind, one, inputs in [
                ("then", operator, [data, "axes"]),
                ("else", "Identity", [data]),
            ]
        }
        return node("If", [condition], [name], **branches)

    nodes = [
        node("Shape", ["x"], ["shape"]),
        node("Gather", ["shape", "last"], ["extent"]),
        node("Equal", ["extent", "one"], ["is one"]),
        choosing("squeezed", "is one", "x", "Squeeze"),
        node("Shape", ["squeezed"], ["left"]),
        node("Size", ["left"], ["rank"]),
        node("Equal", ["rank", "two"], ["is matrix"]),
        choosing("whole", "is matrix", "squeezed", "Unsqueeze"),
        node("Relu", ["whole"], ["y"]),
    ]
    numbers = {"last": -1, "one": 1, "two": 2}
    weights = {name: np.array(number, "int64") for name, number in numbers.items()}
    feeds = {"x": drawn(2, 3, 1)}
    model = graph(nodes, feeds, ["y"], weights | {"axes": np.array([-1], "int64")})
    assert_like_onnxruntime(model, feeds, tmp_path)


def test_sequences_are_taken_apart(tmp_path: Path) -> None:
    feeds = {"x": drawn(6, 4)}
    weights = {"sizes": np.array([1, 3, 2]), "last": np.array(-1), "one": np.array(1)}
    nodes = [
        node("SplitToSequence", ["x", "sizes"], ["parts"], axis=0),
        node("SequenceAt", ["parts", "last"], ["part"]),
        node("SequenceInsert", ["parts", "part", "one"], ["more"]),
        node("ConcatFromSequence", ["more"], ["whole"], axis=0),
        node("SequenceLength", ["more"], ["y"]),
    ]
    model = graph(nodes, feeds, ["whole", "y"], weights)
    assert_like_onnxruntime(model, feeds, tmp_path)


@pytest.mark.parametrize("place", [-3, -1, 0, 2, None])
def test_one_of_a_sequence_is_erased(place: int | None, tmp_path: Path) -> None:
    feeds = {"x": drawn(3, 4)}
    weights = {} if place is None else {"place": np.array(place)}
    nodes = [
        node("SplitToSequence", ["x"], ["parts"], axis=0),
        node("SequenceErase", ["parts", *weights], ["less"]),
        node("ConcatFromSequence", ["less"], ["y"], axis=0),
    ]
    assert_like_onnxruntime(graph(nodes, feeds, ["y"], weights), feeds, tmp_path)


def test_parts_may_have_sizes_that_are_fed(tmp_path: Path) -> None:
    feeds = {"x": drawn(6, 4), "sizes": np.array([1, 5])}
    nodes = [
        node("Split", ["x", "sizes"], ["a", "b"], axis=0),
        node("Relu", ["b"], ["y"]),
        node("Neg", ["a"], ["z"]),
    ]
    expected = [np.maximum(feeds["x"][1:], 0), -feeds["x"][:1]]
    assert_same(computed(graph(nodes, feeds, ["y", "z"]), feeds, tmp_path), expected)
