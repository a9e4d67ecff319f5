"""What a model specification becomes, and what is said where it cannot become anything."""

import functools
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
import tvm
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from chameleon_ray.compiler.lower import lower
from chameleon_ray.compiler.models import InputSpec, Model, ModelError, load

# Unoptimised code computes the same and is compiled several times faster.
TARGET = tvm.target.Target({"kind": "llvm", "num-cores": 1, "opt-level": 0})
SMALL = (InputSpec("input", (1, 3, 64, 64)),)

cached = functools.cache(load)


def assert_computes_reference(model: Model, layout: str) -> None:
    executable = tvm.compile(lower(model.module, TARGET, layout), TARGET)
    machine = tvm.relax.VirtualMachine(executable, tvm.cpu())
    outputs = machine["main"](*[tvm.runtime.tensor(array) for array in model.examples])
    outputs = [outputs] if hasattr(outputs, "numpy") else list(outputs)
    assert model.reference is not None
    assert len(outputs) == len(model.reference)
    for output, expected in zip(outputs, model.reference, strict=True):
        found = output.numpy()
        assert found.shape == expected.shape
        assert found.dtype == expected.dtype
        scale = np.abs(expected).max()
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-3 * scale)


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
    node = helper.make_node
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
    value = helper.make_tensor_value_info
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


class Pair(nn.Module):
    """Two inputs, one of them integer, and two outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(4, 8)
        self.dense = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        both = x + self.table(ids)
        return self.dense(both), both.sum(0)


def plain() -> nn.Module:
    return Pair()


def with_examples() -> tuple[nn.Module, tuple[torch.Tensor, ...]]:
    return Pair(), (torch.ones(2, 8), torch.tensor([3, 1]))


def not_a_module() -> int:
    return 3


def failing() -> nn.Module:
    raise RuntimeError("out of cheese")


class Branching(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x if x.sum() > 0 else -x


def branching() -> tuple[nn.Module, torch.Tensor]:
    return Branching(), torch.ones(3)


class Unknown(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.linalg.qr(x)[0]


def unknown() -> tuple[nn.Module, torch.Tensor]:
    return Unknown(), torch.ones(3, 3)


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("x:1,3,224,224", InputSpec("x", (1, 3, 224, 224))),
        ("ids:1x128:int64", InputSpec("ids", (1, 128), "int64")),
        ("input:0:2,3", InputSpec("input:0", (2, 3))),
        ("input:0:2:float16", InputSpec("input:0", (2,), "float16")),
        ("scale::float32", InputSpec("scale", (), "float32")),
    ],
)
def test_reads_inputs(text: str, spec: InputSpec) -> None:
    assert InputSpec.parse(text) == spec
    if spec.shape:
        assert InputSpec.parse(str(spec)) == spec


@pytest.mark.parametrize("text", ["x", "", "x:", ":1,2", "x:1,-2", "x:a,b", "x:0,3", "x:1,,2"])
def test_refuses_inputs(text: str) -> None:
    if text == "x:":
        assert InputSpec.parse(text).shape == ()
    else:
        with pytest.raises(ModelError):
            InputSpec.parse(text)


@pytest.mark.parametrize(
    ("name", "layout"),
    [
        *(("resnet-18", "NHWC"), ("resnet-18", "NCHW")),
        *(("mobilenet-v2", "NHWC"), ("mobilenet-v2", "NCHW")),
        *(("alexnet", "NHWC"), ("alexnet", "NCHW")),
        ("vgg-16", "NHWC"),
    ],
)
def test_zoo_computes_what_torch_does(name: str, layout: str) -> None:
    model = cached(name, SMALL, 0)
    assert model.reference_name == "torch"
    assert_computes_reference(model, layout)


def test_weights_examples_and_digest_follow_the_seed() -> None:
    inputs = [InputSpec("ids", (2,), "int64"), InputSpec("x", (2, 8))]
    first, again, other = (load(f"{__name__}:plain", inputs, seed) for seed in (1, 1, 2))
    assert first.digest == again.digest != other.digest
    assert first.reference is not None
    assert again.reference is not None
    np.testing.assert_array_equal(first.examples[0], again.examples[0])
    np.testing.assert_array_equal(first.reference[0], again.reference[0])
    assert not np.array_equal(first.examples[0], other.examples[0])


@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
def test_onnx_computes_what_onnxruntime_does(onnx_file: Path, layout: str) -> None:
    pytest.importorskip("onnxruntime")
    model = load(str(onnx_file), [InputSpec("x", (2, 3, 10, 10))], 0)
    assert model.reference_name == "onnxruntime"
    assert model.inputs == (InputSpec("x", (2, 3, 10, 10), "float32"),)
    assert_computes_reference(model, layout)


def test_onnx_does_not_need_torch(onnx_file: Path) -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from chameleon_ray.compiler.models import InputSpec, load\n"
        f"print(load({str(onnx_file)!r}, [InputSpec('x', (1, 3, 10, 10))], 0).digest)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    here = load(str(onnx_file), [InputSpec("x", (1, 3, 10, 10))], 0)
    assert done.stdout.split() == [here.digest]
    assert done.stderr == ""


def test_factory_with_given_inputs() -> None:
    given = [InputSpec("ids", (2,), "int64"), InputSpec("x", (2, 8))]
    model = load(f"{__name__}:plain", given, 0)
    assert [spec.name for spec in model.inputs] == ["x", "ids"]
    assert [spec.dtype for spec in model.inputs] == ["float32", "int64"]
    assert_computes_reference(model, "NHWC")


def test_factory_with_its_own_inputs() -> None:
    model = load(f"{__name__}:with_examples", [], 0)
    np.testing.assert_array_equal(model.examples[1], [3, 1])
    assert_computes_reference(model, "NHWC")


def test_exported_program(tmp_path: Path) -> None:
    path = tmp_path / "pair.pt2"
    batch = torch.export.Dim("batch", min=1, max=8)
    program = torch.export.export(
        plain(),
        (torch.ones(3, 8), torch.tensor([0, 1, 2])),
        dynamic_shapes={"x": {0: batch}, "ids": {0: batch}},
    )
    torch.export.save(program, path)
    with pytest.raises(ModelError, match=r"'x' of .*pair.pt2 has open dimensions"):
        load(str(path), [], 0)
    with pytest.raises(ModelError, match="does not fit"):
        load(str(path), [InputSpec("x", (2, 9))], 0)
    model = load(str(path), [InputSpec("x", (2, 8)), InputSpec("ids", (2,))], 0)
    assert_computes_reference(model, "NHWC")


@pytest.mark.parametrize(
    ("spec", "inputs", "sentence"),
    [
        ("resnet-19", "", "There is no model 'resnet-19'.*resnet-18, vgg-16"),
        ("resnet-18", "x:1,3,64,64", "resnet-18 has no input 'x'; its inputs are: input"),
        ("resnet-18", "input:1,4,64,64", "does not fit resnet-18.*batch,3,height,width"),
        ("resnet-18", "input:1,3,64,64:int8", "does not fit"),
        ("alexnet", "input:1,3,8,8", "alexnet fails on inputs of shape 1x3x8x8"),
        ("missing.onnx", "", "missing.onnx does not exist"),
        ("missing.pt2", "", "missing.pt2 does not exist"),
        ("no.such.module:factory", "", "no.such.module of .* cannot be imported"),
        ("{here}:no_such_factory", "", "has no function no_such_factory"),
        ("{here}:not_a_module", "", "returned int; it must return a torch.nn.Module"),
        ("{here}:failing", "", "RuntimeError: out of cheese"),
        ("{here}:plain", "x:2,8", "no example for its input 'ids'"),
        ("{here}:plain", "z:2,8", "has no input 'z'; its inputs are: x, ids"),
        ("{here}:branching", "", "torch.export cannot trace"),
        ("{here}:unknown", "", "TVM cannot translate .*linalg_qr"),
    ],
)
def test_says_what_is_wrong(spec: str, inputs: str, sentence: str) -> None:
    given = [InputSpec.parse(text) for text in inputs.split()]
    with pytest.raises(ModelError, match=sentence) as raised:
        load(spec.format(here=__name__), given, 0)
    assert "\n" not in str(raised.value)


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
    garbage = tmp_path / "garbage.pt2"
    garbage.write_bytes(b"not a program")
    with pytest.raises(ModelError, match="cannot be read as a torch exported program"):
        load(str(garbage), [], 0)
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
    with pytest.raises(ModelError, match="cannot convert: Bernoulli2, StringNormalizer"):
        load(str(path), [InputSpec("x", (1, 3, 10, 10))], 0)
