"""Model specifications: what they are imported as, and the errors where they cannot be."""

import functools
from pathlib import Path

import numpy as np
import pytest
import torch
import tvm
from torch import nn

from chameleon_ray.compiler.frontend.draws import DRAWS
from chameleon_ray.compiler.frontend.load import InputSpec, Model, ModelError, load
from chameleon_ray.compiler.kinds import LLVM
from chameleon_ray.compiler.passes.lower import lower

# Unoptimised code computes the same and is compiled several times faster.
TARGET = tvm.target.Target({"kind": "llvm", "num-cores": 1, "opt-level": 0})
IMAGES = {"vgg-16": (1, 3, 32, 32)}

cached = functools.cache(load)


def assert_computes_reference(model: Model, layout: str) -> None:
    executable = tvm.compile(lower(model.module, TARGET, LLVM, layout), TARGET)
    machine = tvm.relax.VirtualMachine(executable, tvm.cpu())
    example = model.examples[-1]
    outputs = machine["main"](*[tvm.runtime.tensor(array) for array in example.inputs])
    outputs = [outputs] if hasattr(outputs, "numpy") else list(outputs)
    assert example.outputs is not None
    assert len(outputs) == len(example.outputs)
    for output, expected in zip(outputs, example.outputs, strict=True):
        found = output.numpy()
        assert found.shape == expected.shape
        assert found.dtype == expected.dtype
        scale = np.abs(expected).max()
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-3 * scale)


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


class Comparing(nn.Module):
    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        left, right = x > 0, y > 0
        counted = left.cumsum(-1) + torch.cumsum(x, 0, dtype=torch.float64).to(torch.int64)
        return torch.where(left == right, x, y) + (left != right).to(x.dtype) * counted


def comparing() -> tuple[nn.Module, tuple[torch.Tensor, ...]]:
    """Compares booleans; its examples say nothing."""
    return Comparing(), (torch.zeros(3, 8), torch.zeros(8))


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
    image = InputSpec("input", IMAGES.get(name, (1, 3, 64, 64)))
    model = cached(name, (image,), 0)
    assert model.reference_name == "torch"
    assert_computes_reference(model, layout)


def test_weights_examples_and_digest_follow_the_seed() -> None:
    inputs = [InputSpec("ids", (2,), "int64"), InputSpec("x", (2, 8))]
    first, again, other = (load(f"{__name__}:plain", inputs, seed) for seed in (1, 1, 2))
    assert first.digest == again.digest != other.digest
    assert len(first.examples) == DRAWS
    for one, same, another in zip(first.examples, again.examples, other.examples, strict=True):
        np.testing.assert_array_equal(one.inputs[0], same.inputs[0])
        np.testing.assert_array_equal(one.outputs[0], same.outputs[0])
        assert not np.array_equal(one.inputs[0], another.inputs[0])
    assert not np.array_equal(first.examples[0].inputs[0], first.examples[1].inputs[0])


def test_factory_with_given_inputs() -> None:
    given = [InputSpec("ids", (2,), "int64"), InputSpec("x", (2, 8))]
    model = load(f"{__name__}:plain", given, 0)
    assert [spec.name for spec in model.inputs] == ["x", "ids"]
    assert [spec.dtype for spec in model.inputs] == ["float32", "int64"]
    assert_computes_reference(model, "NHWC")


def test_factory_with_its_own_inputs() -> None:
    model = load(f"{__name__}:with_examples", [], 0)
    assert len(model.examples) == DRAWS
    for example in model.examples:
        np.testing.assert_array_equal(example.inputs[1], [3, 1])
    assert_computes_reference(model, "NHWC")


def test_examples_of_zeros_become_random() -> None:
    first, again, other = (load(f"{__name__}:comparing", [], seed) for seed in (1, 1, 2))
    mine, same, another = (model.examples[0].inputs for model in (first, again, other))
    assert [array.shape for array in mine] == [(3, 8), (8,)]
    assert all(len(np.unique(array)) == array.size for array in mine)
    np.testing.assert_array_equal(mine[0], same[0])
    assert not np.array_equal(mine[0], another[0])


def test_booleans_are_compared() -> None:
    assert_computes_reference(load(f"{__name__}:comparing", [], 0), "NHWC")


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
        ("resnet-19", "", "There is no model 'resnet-19'.*resnet-18, resnet-34, vgg-16"),
        ("resnet-18", "x:1,3,64,64", "resnet-18 has no input 'x'; its inputs are: input"),
        ("resnet-18", "input:1,4,64,64", "does not fit resnet-18.*batch,3,height,width"),
        ("resnet-18", "input:1,3,64,64:int8", "does not fit"),
        ("alexnet", "input:1,3,8,8", "alexnet fails on inputs of shape 1x3x8x8"),
        ("missing.onnx", "", "missing.onnx does not exist"),
        ("missing.pt2", "", "missing.pt2 does not exist"),
        ("no.such.module:factory", "", "no.such.module of .* cannot be imported"),
        (f"{__file__}:plain", "", "names a file; give its module, test_models:plain, from the"),
        ("{here}:no_such_factory", "", "has no function no_such_factory"),
        ("{here}:not_a_module", "", "returned an object of type int; it must return"),
        ("{here}:failing", "", "RuntimeError: out of cheese"),
        ("{here}:plain", "x:2,8", "no example for its input 'ids'"),
        ("{here}:plain", "z:2,8", "has no input 'z'; its inputs are: x, ids"),
        (
            "{here}:branching",
            "",
            "branching chooses what to compute by a tensor.s values at .*test_models.py",
        ),
        ("{here}:unknown", "", "the operator aten.linalg_qr.default in the module Unknown cannot"),
    ],
)
def test_says_what_is_wrong(spec: str, inputs: str, sentence: str) -> None:
    given = [InputSpec.parse(text) for text in inputs.split()]
    with pytest.raises(ModelError, match=sentence) as raised:
        load(spec.format(here=__name__), given, 0)
    assert "\n" not in str(raised.value)


def test_broken_program(tmp_path: Path) -> None:
    garbage = tmp_path / "garbage.pt2"
    garbage.write_bytes(b"not a program")
    with pytest.raises(ModelError, match="cannot be read as a torch exported program"):
        load(str(garbage), [], 0)
