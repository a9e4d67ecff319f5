"""What an ONNX file computes: ONNX Runtime says so or, where it cannot, ONNX itself."""

import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from chameleon_ray.compiler.frontend.inputs import ModelError
from chameleon_ray.compiler.frontend.onnx.reference import onnx_examples

node = helper.make_node
X = np.linspace(-3, 3, 12, dtype="float32").reshape(3, 4)


def saved(path: Path, nodes: list[onnx.NodeProto], opset: int = 17, **weights: np.ndarray) -> Path:
    """A graph from ``x`` (3x4) to ``y`` as a file."""
    ends = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [3, 4]), onnx.ValueInfoProto()]
    ends[1].name = "y"
    tensors = [numpy_helper.from_array(weight, name) for name, weight in weights.items()]
    graph = helper.make_graph(nodes, "graph", ends[:1], ends[1:], tensors)
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("mine", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), path)
    return path


def test_onnx_runtime_comes_first(tmp_path: Path) -> None:
    path = saved(tmp_path / "relu.onnx", [node("Relu", ["x"], ["y"])])
    examples, name = onnx_examples(path, ["x"], [(X,), (-X,)], {})
    assert name == "ONNX Runtime"
    for example, x in zip(examples, (X, -X), strict=True):
        assert example.outputs is not None
        np.testing.assert_array_equal(example.outputs[0], np.maximum(x, 0))


def bfloat16(path: Path) -> Path:
    """A product in bfloat16, which ONNX Runtime has not on CPUs."""
    return saved(
        path,
        [
            node("Cast", ["x"], ["h"], to=TensorProto.BFLOAT16),
            node("MatMul", ["h", "w"], ["p"]),
            node("Cast", ["p"], ["y"], to=TensorProto.FLOAT),
        ],
        w=np.eye(4, dtype=helper.tensor_dtype_to_np_dtype(TensorProto.BFLOAT16)),
    )


def test_onnx_itself_is_asked_where_onnx_runtime_refuses(tmp_path: Path) -> None:
    (example,), name = onnx_examples(bfloat16(tmp_path / "half.onnx"), ["x"], [(X,)], {})
    assert name == "onnx.reference"
    assert example.outputs is not None
    np.testing.assert_allclose(example.outputs[0], X, rtol=2**-8)


def table(path: Path) -> Path:
    """Rows of a table of four, whose numbers are ``x``."""
    nodes = [node("Cast", ["x"], ["i"], to=TensorProto.INT64), node("Gather", ["t", "i"], ["y"])]
    return saved(path, nodes, t=np.arange(4, dtype="float32"))


def test_values_that_do_not_suit_the_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path, outside = table(tmp_path / "table.onnx"), np.full((3, 4), 9, "float32")
    with pytest.raises(ModelError, match=r"do not suit .*Gather.* give other values"):
        onnx_examples(path, ["x"], [(outside,)], {}, given=True)
    examples, name = onnx_examples(path, ["x"], [(np.abs(X),)], {}, given=True)
    assert name == "ONNX Runtime"
    assert examples[0].outputs is not None
    with caplog.at_level(logging.WARNING):
        assert onnx_examples(path, ["x"], [(outside,)], {})[1] is None
    assert "give values that suit it with --example" in caplog.text


def test_where_nothing_can_run_it_a_sentence_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = saved(tmp_path / "mine.onnx", [node("Mine", ["x"], ["y"], domain="mine")])
    with caplog.at_level(logging.WARNING):
        (example,), name = onnx_examples(path, ["x"], [(X,)], {})
    assert name is None
    assert example.outputs is None
    (said,) = caplog.messages
    assert "Nothing but TVM can run" in said
    assert "ONNX Runtime: " in said
    assert "onnx.reference: " in said
    assert "\n" not in said


def test_random_numbers_are_refused(tmp_path: Path) -> None:
    nodes = [node("RandomNormalLike", ["x"], ["r"]), node("Add", ["x", "r"], ["y"])]
    path = saved(tmp_path / "random.onnx", nodes)
    with pytest.raises(ModelError, match=r"change from run to run .*\(it has RandomNormalLike\)"):
        onnx_examples(path, ["x"], [(X,)], {})


def saturating(path: Path) -> Path:
    """A product whose sums of two are beyond 16 bits, as its quantisation means it."""
    scales = {f"s{n}": np.array(s, "float32") for n, s in enumerate((1.0, 1.0, 1000.0))}
    zeros = {"z0": np.array(0, "uint8"), "z1": np.array(0, "int8"), "z2": np.array(0, "uint8")}
    nodes = [
        node("QuantizeLinear", ["x", "s0", "z0"], ["q"]),
        node("DequantizeLinear", ["q", "s0", "z0"], ["d"]),
        node("DequantizeLinear", ["w", "s1", "z1"], ["dw"]),
        node("MatMul", ["d", "dw"], ["p"]),
        node("QuantizeLinear", ["p", "s2", "z2"], ["o"]),
        node("DequantizeLinear", ["o", "s2", "z2"], ["y"]),
    ]
    return saved(path, nodes, 13, w=np.full((4, 5), 127, "int8"), **scales, **zeros)


def test_quantised_graphs_are_what_they_mean(tmp_path: Path) -> None:
    x = np.full((3, 4), 250, "float32")
    (example,), name = onnx_examples(saturating(tmp_path / "quantised.onnx"), ["x"], [(x,)], {})
    assert name == "ONNX Runtime"
    assert example.outputs is not None
    np.testing.assert_array_equal(example.outputs[0], np.full((3, 5), 127_000, "float32"))


@pytest.mark.parametrize("opset", [13, 21])
def test_without_onnx_runtime(tmp_path: Path, opset: int) -> None:
    path = saturating(tmp_path / "quantised.onnx")
    proto = onnx.load(path)
    proto.opset_import[0].version = opset
    onnx.save(proto, path)
    none = tmp_path / "none"
    none.mkdir()
    (none / "onnxruntime.py").write_text("raise ImportError('there is none')\n")
    program = (
        f"import sys; sys.path.insert(0, {str(none)!r})\n"
        "import numpy as np\n"
        "from pathlib import Path\n"
        "from chameleon_ray.compiler.frontend.onnx.reference import onnx_examples\n"
        "x = np.full((3, 4), 250, 'float32')\n"
        f"(example,), name = onnx_examples(Path({str(path)!r}), ['x'], [(x,)], {{}})\n"
        "print(name, example.outputs[0].min(), example.outputs[0].max(), sep=', ')\n"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "onnx.reference, 127000.0, 127000.0\n"
