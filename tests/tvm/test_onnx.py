"""ONNX files: what they become, what they need, and what is said where they cannot be used."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from chameleon_ray.compiler.frontend.load import InputSpec, Model, ModelError, load
from chameleon_ray.compiler.frontend.onnx.converters import KINDS
from chameleon_ray.compiler.frontend.onnx.topology import misread
from chameleon_ray.compiler.relax import bindings_of, operator
from tests.tvm.test_models import assert_computes_reference

node = helper.make_node
value = helper.make_tensor_value_info


def branches(rng: np.random.Generator) -> onnx.ModelProto:
    """Convolution, batch norm, two branches that are concatenated, pooling and a dense layer."""
    weights = {
        "w1": rng.standard_normal((8, 3, 3, 3)) / 5,
        "b1": rng.standard_normal(8),
        "gamma": rng.uniform(0.5, 1.5, 8),
        "beta": rng.standard_normal(8),
        "mean": rng.standard_normal(8),
        "variance": rng.uniform(0.5, 1.5, 8),
        "w2": rng.standard_normal((4, 8, 1, 1)) / 3,
        "w3": rng.standard_normal((6, 8, 3, 3)) / 8,
        "slope": rng.uniform(0.1, 0.3, (10, 1, 1)),
        "w4": rng.standard_normal((5, 250)) / 15,
        "b4": rng.standard_normal(5),
    }
    nodes = [
        node("Conv", ["x", "w1", "b1"], ["c1"], pads=[1, 1, 1, 1]),
        node("BatchNormalization", ["c1", "gamma", "beta", "mean", "variance"], ["n1"]),
        node("Relu", ["n1"], ["r1"]),
        node("Conv", ["r1", "w2"], ["left"]),
        node("Conv", ["r1", "w3"], ["right"], pads=[1, 1, 1, 1]),
        node("Concat", ["left", "right"], ["both"], axis=1),
        node("PRelu", ["both", "slope"], ["act"]),
        node("MaxPool", ["act"], ["pool"], kernel_shape=[2, 2], strides=[2, 2]),
        node("Flatten", ["pool"], ["flat"]),
        node("Gemm", ["flat", "w4", "b4"], ["y"], transB=1),
        node("GlobalAveragePool", ["act"], ["z"]),
    ]
    graph = helper.make_graph(
        nodes,
        "branches",
        [value("x", TensorProto.FLOAT, ["batch", 3, 10, 10])],
        [value("y", TensorProto.FLOAT, None), value("z", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(w.astype("float32"), name) for name, w in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


@pytest.fixture
def onnx_file(tmp_path: Path) -> Path:
    path = tmp_path / "branches.onnx"
    onnx.save(branches(np.random.default_rng(0)), path)
    return path


def saved(path: Path, nodes: list[onnx.NodeProto], opset: int, **weights: np.ndarray) -> Path:
    """A graph from ``x`` to ``y`` as a file."""
    graph = helper.make_graph(
        nodes,
        "graph",
        [value("x", TensorProto.FLOAT, ["batch", 4, 5, 5])],
        [value("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(weight, name) for name, weight in weights.items()],
    )
    imports = [helper.make_opsetid("", opset)]
    onnx.save(helper.make_model(graph, opset_imports=imports, ir_version=8), path)
    return path


def calls(model: Model) -> list[str]:
    bindings = [b for block in model.module["main"].body.blocks for b in block.bindings]
    return [operator(binding.value) for binding in bindings if operator(binding.value)]


@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
def test_onnx_computes_what_onnxruntime_does(onnx_file: Path, layout: str) -> None:
    model = load(str(onnx_file), [InputSpec("x", (2, 3, 10, 10))], 0)
    assert model.reference_name == "ONNX Runtime"
    assert model.inputs == (InputSpec("x", (2, 3, 10, 10), "float32"),)
    assert_computes_reference(model, layout)


def test_onnx_does_not_need_torch(onnx_file: Path) -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from chameleon_ray.compiler.frontend.load import InputSpec, load\n"
        f"print(load({str(onnx_file)!r}, [InputSpec('x', (1, 3, 10, 10))], 0).digest)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    here = load(str(onnx_file), [InputSpec("x", (1, 3, 10, 10))], 0)
    assert done.stdout.split() == [here.digest]
    assert done.stderr == ""


@pytest.mark.parametrize("opset", [10, 13])
def test_clip_stays_an_operator(opset: int, tmp_path: Path) -> None:
    if opset < 11:
        path = saved(tmp_path / "old.onnx", [node("Clip", ["x"], ["y"], min=-0.5, max=0.25)], opset)
    else:
        path = saved(
            tmp_path / "new.onnx",
            [node("Clip", ["x", "", "high"], ["y"])],
            opset,
            high=np.array(0.25, "float32"),
        )
    model = load(str(path), [InputSpec("x", (1, 4, 5, 5))], 0)
    assert calls(model) == (["relax.maximum"] if opset < 11 else []) + ["relax.minimum"]
    assert_computes_reference(model, "NHWC")


def test_shape_arithmetic_is_done_at_import(tmp_path: Path) -> None:
    nodes = [
        node("Shape", ["x"], ["shape"]),
        node("Gather", ["shape", "one"], ["channels"], axis=0),
        node("Div", ["channels", "two"], ["half"]),
        node("Slice", ["x", "zero", "half", "one"], ["first"]),
        node("Shape", ["first"], ["cut"]),
        node("Slice", ["cut", "zero", "two"], ["outer"]),
        node("Concat", ["outer", "minus"], ["flat"], axis=0),
        node("Reshape", ["first", "flat"], ["y"]),
    ]
    numbers = {"zero": 0, "one": 1, "two": 2, "minus": -1}
    weights = {name: np.array([number]) for name, number in numbers.items()}
    path = saved(tmp_path / "chunk.onnx", nodes, 13, **weights)
    model = load(str(path), [InputSpec("x", (3, 4, 5, 5))], 0)
    assert [int(size) for size in model.module["main"].ret_ty.shape] == [3, 2, 25]
    assert calls(model) == ["relax.strided_slice", "relax.reshape"]
    assert_computes_reference(model, "NHWC")


def test_broken_files(onnx_file: Path, tmp_path: Path) -> None:
    whole = onnx_file.read_bytes()
    for name, content in [
        ("empty.onnx", b""),
        ("text.onnx", b"not a model at all"),
        *((f"cut{part}.onnx", whole[: len(whole) * part // 10]) for part in range(1, 10)),
    ]:
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(ModelError, match="is not a valid ONNX model"):
            load(str(path), [InputSpec("x", (1, 3, 10, 10))], 0)
    folder = tmp_path / "folder.onnx"
    folder.mkdir()
    with pytest.raises(ModelError, match="is a folder"):
        load(str(folder), [], 0)


def test_open_onnx_dimensions(onnx_file: Path) -> None:
    with pytest.raises(ModelError, match=r"'x' of .* open dimensions \(batch\).*x:1,3,10,10"):
        load(str(onnx_file), [], 0)
    with pytest.raises(ModelError, match="does not fit"):
        load(str(onnx_file), [InputSpec("x", (1, 3, 11, 10))], 0)
    with pytest.raises(ModelError, match="given twice"):
        load(str(onnx_file), [InputSpec("x", (1, 3, 10, 10))] * 2, 0)


def test_unsupported_onnx_operators(tmp_path: Path) -> None:
    proto = branches(np.random.default_rng(0))
    proto.graph.node.append(helper.make_node("StringNormalizer", ["y"], ["s"]))
    proto.graph.node.append(helper.make_node("Bernoulli2", ["y"], ["t"], domain="mine"))
    path = tmp_path / "strange.onnx"
    onnx.save(proto, path)
    with pytest.raises(ModelError, match=r"converted: StringNormalizer, mine\.Bernoulli2;"):
        load(str(path), [InputSpec("x", (1, 3, 10, 10))], 0)


def switch(path: Path) -> Path:
    """A graph that halves ``x`` where ``rate`` is 8000, and doubles it otherwise."""
    constants = [numpy_helper.from_array(np.float32(n), f"c{n}") for n in (0.5, 2.0)]
    branches = {
        name: helper.make_graph(
            [node("Mul", ["x", factor], [name])], name, [], [value(name, TensorProto.FLOAT, None)]
        )
        for name, factor in (("then_branch", "c0.5"), ("else_branch", "c2.0"))
    }
    nodes = [node("Equal", ["rate", "low"], ["choice"]), node("If", ["choice"], ["y"], **branches)]
    graph = helper.make_graph(
        nodes,
        "switch",
        [value("x", TensorProto.FLOAT, ["n"]), value("rate", TensorProto.INT64, [])],
        [value("y", TensorProto.FLOAT, None)],
        [*constants, numpy_helper.from_array(np.int64(8000), "low")],
    )
    imports = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=imports, ir_version=8), path)
    return path


@pytest.mark.parametrize(("rate", "factor"), [(8000, 0.5), (16000, 2.0)])
def test_a_fixed_input_decides_a_branch_and_is_no_input_any_more(
    rate: int, factor: float, tmp_path: Path
) -> None:
    inputs = [InputSpec.parse("x:4"), InputSpec.parse(f"rate={rate}")]
    model = load(str(switch(tmp_path / "switch.onnx")), inputs, 0)
    assert [spec.name for spec in model.inputs] == ["x"]
    assert_computes_reference(model, "NCHW")
    assert not any("If" in type(b.value).__name__ for b in bindings_of(model.module))


def test_a_fixed_input_must_fit(tmp_path: Path) -> None:
    path = str(switch(tmp_path / "switch.onnx"))
    with pytest.raises(ModelError, match="does not fit"):
        load(path, [InputSpec.parse("x:4"), InputSpec.parse("rate=[8000]")], 0)
    with pytest.raises(ModelError, match="of type float64, and the model wants int64"):
        load(path, [InputSpec.parse("x:4"), InputSpec.parse("rate=0.5")], 0)


def test_every_operator_has_one_converter() -> None:
    keys = [key for kind in KINDS for key in kind.CONVERTERS]
    assert len(keys) > 100
    assert [key for key in keys if keys.count(key) > 1] == []


def test_empty_names_and_values_of_outer_graphs_are_known() -> None:
    inner = helper.make_graph(
        [helper.make_node("Add", ["x", "late"], ["sum"])],
        "inner",
        [],
        [helper.make_tensor_value_info("sum", onnx.TensorProto.FLOAT, None)],
    )
    nodes = [
        helper.make_node("Relu", ["x"], ["late"]),
        helper.make_node("LSTM", ["x", "w", "r", ""], ["", "", "cell"]),
        helper.make_node("If", ["chosen"], ["y"], then_branch=inner, else_branch=inner),
    ]
    known = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
        for name in ("x", "w", "r", "chosen")
    ]
    output = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)
    assert misread(helper.make_graph(nodes, "net", known, [output])) == ""
    assert "reads 'late', which nothing" in misread(
        helper.make_graph([nodes[2], nodes[0]], "net", known, [output])
    )
    assert "reads 'w', which nothing" in misread(
        helper.make_graph(nodes, "net", [known[0], known[3]], [output])
    )
