"""The normal form of ONNX graphs: functions, constants, implied shapes, weights set aside."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from chameleon_ray.compiler.frontend.inputs import InputSpec, ModelError
from chameleon_ray.compiler.frontend.onnx.importer import expands, translate
from chameleon_ray.compiler.frontend.onnx.normalize import normalize
from chameleon_ray.compiler.frontend.onnx.onnx_file import import_file
from chameleon_ray.compiler.frontend.onnx.weights import dense, set_aside

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64
node = helper.make_node
value = helper.make_tensor_value_info


def model(
    nodes: list[onnx.NodeProto],
    inputs: list[onnx.ValueInfoProto],
    outputs: list[onnx.ValueInfoProto],
    opset: int = 18,
    weights: dict[str, np.ndarray] | None = None,
) -> onnx.ModelProto:
    initializers = [numpy_helper.from_array(w, name) for name, w in (weights or {}).items()]
    graph = helper.make_graph(nodes, "graph", inputs, outputs, initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def specs(proto: onnx.ModelProto) -> list[InputSpec]:
    shapes = [[dim.dim_value for dim in v.type.tensor_type.shape.dim] for v in proto.graph.input]
    return [
        InputSpec(v.name, tuple(shape)) for v, shape in zip(proto.graph.input, shapes, strict=True)
    ]


def normal(proto: onnx.ModelProto) -> onnx.ModelProto:
    return normalize(proto, specs(proto), expands)


def initializers(proto: onnx.ModelProto) -> dict[str, np.ndarray]:
    return {weight.name: numpy_helper.to_array(weight) for weight in proto.graph.initializer}


def test_local_functions_are_inlined() -> None:
    double = helper.make_function(
        "own",
        "Double",
        ["a"],
        ["b"],
        [node("Add", ["a", "a"], ["b"])],
        [helper.make_opsetid("", 18)],
    )
    proto = model(
        [node("Double", ["x"], ["y"], domain="own")],
        [value("x", FLOAT, [2])],
        [value("y", FLOAT, [2])],
    )
    proto.opset_import.append(helper.make_opsetid("own", 1))
    proto.functions.append(double)
    assert [one.op_type for one in normal(proto).graph.node] == ["Add"]


@pytest.mark.parametrize("opset", [13, 18, 22])
def test_operators_without_a_converter_become_their_functions(opset: int) -> None:
    proto = model(
        [node("NegativeLogLikelihoodLoss", ["x", "t"], ["y"], reduction="mean")],
        [value("x", FLOAT, [3, 5]), value("t", INT64, [3])],
        [value("y", FLOAT, [])],
        opset,
    )
    kinds = {one.op_type for one in normal(proto).graph.node}
    assert "NegativeLogLikelihoodLoss" not in kinds
    assert "GatherElements" in kinds


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ({"value_float": 1.5}, np.float32(1.5)),
        ({"value_ints": [1, 2]}, np.array([1, 2])),
        ({"value_ints": []}, np.array([], np.int64)),
        ({"value": numpy_helper.from_array(np.array(3, np.int32))}, np.int32(3)),
    ],
)
def test_constants_of_all_forms_become_initialisers(
    form: dict[str, object], expected: np.ndarray
) -> None:
    constant = node("Constant", [], ["c"], **{k: v for k, v in form.items() if v != []})
    if form == {"value_ints": []}:
        constant.attribute.append(helper.make_attribute("value_ints", [], attr_type=7))
    proto = model([constant, node("Cast", ["c"], ["y"], to=FLOAT)], [], [value("y", FLOAT, None)])
    found = initializers(normal(proto))["c"]
    assert found.dtype == np.asarray(expected).dtype
    np.testing.assert_array_equal(found, expected)


def test_sparse_tensors_become_dense() -> None:
    values, flat = np.array([5.0, 7.0], "float32"), np.array([1, 5])
    for indices in (flat, np.stack(np.unravel_index(flat, (2, 3)), 1)):
        sparse = helper.make_sparse_tensor(
            numpy_helper.from_array(values, "s"), numpy_helper.from_array(indices, "i"), [2, 3]
        )
        np.testing.assert_array_equal(dense(sparse), [[0, 5, 0], [0, 0, 7]])


def test_quantised_weights_are_not_folded() -> None:
    weights = {"w": np.ones((2, 2), "int8"), "s": np.array(0.5, "float32")}
    proto = model(
        [node("DequantizeLinear", ["w", "s"], ["f"]), node("MatMul", ["x", "f"], ["y"])],
        [value("x", FLOAT, [1, 2])],
        [value("y", FLOAT, [1, 2])],
        weights=weights,
    )
    assert [one.op_type for one in normal(proto).graph.node] == ["DequantizeLinear", "MatMul"]


@pytest.mark.parametrize(
    ("kind", "before", "place", "after", "implied"),
    [
        ("Reshape", [2, 6], 1, [3, 4], [3, 4]),
        ("Expand", [1, 3], 1, [2, 3], [2, 3]),
        ("Tile", [2, 3], 1, [2, 9], [1, 3]),
        ("Squeeze", [1, 3, 1], 1, [1, 3], [2]),
        ("Unsqueeze", [2, 3], 1, [2, 1, 3], [1]),
        ("ReduceSum", [2, 3, 4], 1, [2, 1, 4], [1]),
        ("ReduceSum", [3, 3], 1, [3, 1], [1]),
    ],
)
def test_inputs_follow_from_declared_shapes(
    kind: str, before: list[int], place: int, after: list[int], implied: list[int]
) -> None:
    count = abs(len(before) - len(after)) or 1 if kind.endswith(("eeze", "Sum")) else len(after)
    proto = model(
        [node(kind, ["x", "how"], ["y"])],
        [value("x", FLOAT, before), value("how", INT64, [count])],
        [value("y", FLOAT, after)],
    )
    graph = normal(proto).graph
    found = {w.name: numpy_helper.to_array(w).tolist() for w in graph.initializer}
    assert found[graph.node[0].input[place]] == implied


def test_a_declared_shape_that_no_repeats_lead_to_says_nothing() -> None:
    proto = model(
        [node("Tile", ["x", "how"], ["y"])],
        [value("x", FLOAT, [2, 3]), value("how", INT64, [2])],
        [value("y", FLOAT, [2, 7])],
    )
    assert normal(proto).graph.node[0].input[1] == "how"


@pytest.mark.parametrize("extent", [0, -1])
def test_extents_that_are_written_as_no_number_are_open(extent: int) -> None:
    proto = model(
        [node("Relu", ["x"], ["y"]), node("Neg", ["y"], ["z"])],
        [value("x", FLOAT, [extent, 3])],
        [value("z", FLOAT, [extent, 3])],
    )
    proto.graph.value_info.append(value("y", FLOAT, [extent, 3]))
    found = translate(
        normalize(proto, [InputSpec("x", (2, 3))], expands),
        {},
        [InputSpec("x", (2, 3), "float32")],
        "",
    )
    assert [int(size) for size in found["main"].ret_ty.shape] == [2, 3]


def test_axes_that_shapes_do_not_tell_are_left() -> None:
    proto = model(
        [node("ReduceSum", ["x", "axes"], ["y"], keepdims=0)],
        [value("x", FLOAT, [3, 3]), value("axes", INT64, [1])],
        [value("y", FLOAT, [3])],
    )
    assert normal(proto).graph.node[0].input[1] == "axes"


def test_large_weights_are_mapped_and_stay_out_of_the_graph(tmp_path: Path) -> None:
    table = np.arange(4000, dtype="float32").reshape(1000, 4)
    proto = model(
        [node("Gather", ["table", "ids"], ["y"])],
        [value("ids", INT64, [2])],
        [value("y", FLOAT, [2, 4])],
        weights={"table": table},
    )
    path = tmp_path / "table.onnx"
    onnx.save(proto, path, save_as_external_data=True, location="table.bin", size_threshold=0)
    small = onnx.load(path, load_external_data=False)
    weights = set_aside(small, tmp_path)
    assert isinstance(weights["table"].base, np.memmap | np.ndarray)
    np.testing.assert_array_equal(weights["table"], table)
    assert not small.graph.initializer
    assert [spec.name for spec in import_file(path, []).inputs] == ["ids"]


def test_data_files_are_beside_the_model_and_whole(tmp_path: Path) -> None:
    table = np.zeros((1000, 4), "float32")
    proto = model([node("Relu", ["table"], ["y"])], [], [value("y", FLOAT, None)])
    proto.graph.initializer.append(numpy_helper.from_array(table, "table"))
    path = tmp_path / "table.onnx"
    onnx.save(proto, path, save_as_external_data=True, location="table.bin", size_threshold=0)
    (tmp_path / "table.bin").write_bytes(b"short")
    with pytest.raises(ModelError, match=r"not a valid ONNX model .*too short"):
        import_file(path, [])


@pytest.mark.parametrize(
    ("proto", "sentence"),
    [
        (
            model(
                [node("RandomNormalLike", ["x"], ["y"])],
                [value("x", FLOAT, [2])],
                [value("y", FLOAT, [2])],
            ),
            r"draws random numbers \(RandomNormalLike\)",
        ),
        (
            model(
                [node("StringNormalizer", ["x"], ["y"])],
                [value("x", TensorProto.STRING, [2])],
                [value("y", TensorProto.STRING, [2])],
            ),
            r"input 'x' is text \(for StringNormalizer\)",
        ),
        (
            model(
                [node("Slice", ["x", "start", "end"], ["y"])],
                [value("x", FLOAT, [4]), value("start", INT64, [1]), value("end", INT64, [1])],
                [value("y", FLOAT, None)],
            ),
            r"\(Slice\).*computed at run time, and no shape",
        ),
    ],
    ids=["random", "text", "undeclared"],
)
def test_what_cannot_be_compiled_is_refused_by_name(
    proto: onnx.ModelProto, sentence: str, tmp_path: Path
) -> None:
    path = tmp_path / "refused.onnx"
    onnx.save(proto, path)
    with pytest.raises(ModelError, match=sentence) as caught:
        import_file(path, [])
    assert "not a valid" not in str(caught.value)
