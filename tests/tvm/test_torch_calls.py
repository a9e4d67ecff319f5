"""How torch modules are called, what they return, and in which types they compute."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import nn

from chameleon_ray.compiler.frontend.inputs import ModelError
from chameleon_ray.compiler.frontend.load import InputSpec, load
from tests.tvm.torch_modules import Calling, assert_like_torch, computed, imported

X = torch.tensor([[1.0, -2.0, 3.0], [0.5, 4.0, -1.0]])


@dataclasses.dataclass
class Answer:
    """What a module returns whose class torch does not know."""

    scores: torch.Tensor
    state: tuple[torch.Tensor, None]
    name: str = "answer"


class Pair(NamedTuple):
    left: torch.Tensor
    right: torch.Tensor


class Keyed(nn.Module):
    def forward(
        self, x: torch.Tensor, *, scale: torch.Tensor | None = None, times: int = 1
    ) -> torch.Tensor:
        return (x if scale is None else x * scale) * times


class Counting(nn.Module):
    """Counts its calls; ``told`` says whether the outputs depend on that."""

    def __init__(self, told: bool) -> None:
        super().__init__()
        self.told = told
        self.register_buffer("calls", torch.zeros(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return x + self.calls if self.told else x * 2


def changed_input(x: torch.Tensor) -> torch.Tensor:
    x += 1
    return x * 2


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_types_of_numbers(dtype: torch.dtype) -> None:
    layers = nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(36, 5))
    model = imported(layers.to(dtype), torch.randn(1, 2, 5, 5).to(dtype))
    assert model.inputs[0].dtype == model.examples[0].inputs[0].dtype.name == str(dtype)[6:]
    tolerance = {torch.float64: 1e-12, torch.float16: 1e-2, torch.bfloat16: 5e-2}[dtype]
    assert_like_torch(model, tolerance=tolerance)


@pytest.mark.parametrize(
    ("function", "count"),
    [
        (lambda x: (x + 1, None), 1),
        (lambda x: {"b": x + 1, "a": x.sum()}, 2),
        (lambda x: [x, (x * 2, {"c": x[0]})], 3),
        (lambda x: Pair(x + 1, x), 2),
        (lambda x: Answer(x + 1, (x * 2, None)), 2),
        (lambda x: (x + 1, 3, 0.5, True), 4),
        (lambda x: x.sum().item() * x, 1),
        (lambda x: torch.arange(3), 1),
    ],
    ids=[
        *("None", "dict", "nested", "named tuple", "dataclass", "numbers", "item", "constant"),
    ],
)
def test_outputs(function: Callable[..., Any], count: int) -> None:
    model = imported(Calling(function), X)
    assert len(model.examples[0].outputs or ()) == count
    assert_like_torch(model)


@pytest.mark.parametrize(
    ("module", "args", "kwargs", "count"),
    [
        (Calling(lambda xs: xs[0] + xs[1]), ([X, X],), {}, 2),
        (Calling(lambda x, n: x * n), (X, 2), {}, 1),
        (Calling(lambda x, mask: x if mask is None else x * mask), (X, None), {}, 1),
        (Keyed(), (X,), {"scale": X + 1, "times": 3}, 2),
        (Keyed(), (), {"times": 3, "x": X}, 1),
        (Keyed(), (), {"scale": X + 1, "x": X}, 2),
        (nn.Linear(2, 3), (X.t(),), {}, 1),
        (nn.Linear(3, 2), (X.clone().requires_grad_(),), {}, 1),
        (torch.jit.trace(nn.Linear(3, 2), X), (X,), {}, 1),
        (torch.jit.script(nn.Sequential(nn.Linear(3, 2), nn.ReLU())), (X,), {}, 1),
        (nn.Sequential(nn.Linear(3, 2), nn.Dropout(0.5)).train(), (X,), {}, 1),
    ],
    ids=[
        *(
            "list",
            "number",
            "None",
            "keywords",
            "keywords only",
            "in another order",
            "transposed",
            "gradient",
        ),
        *("traced", "scripted", "in training"),
    ],
)
def test_calls(
    module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], count: int
) -> None:
    model = imported(module, *args, **kwargs)
    assert len(model.examples[0].inputs) == count
    assert_like_torch(model)


def test_changed_inputs_and_buffers_that_are_not_told_are_noted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    for module, changed in ((Calling(changed_input), "input"), (Counting(False), "buffer 'calls'")):
        x = X.clone()
        model = imported(module, x)
        assert changed in caplog.text
        np.testing.assert_array_equal(model.examples[0].inputs[0], X)
        assert_like_torch(model)


class Branching(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x if x.sum() > 0 else -x


class Deep(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([Calling(lambda x: torch.linalg.qr(x)[0])])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.blocks[0](x)


@pytest.mark.parametrize(
    ("module", "sentence"),
    [
        (Branching(), r"by a tensor's values at .*test_torch_calls.py:\d+ \(return x if x.sum"),
        (Deep(), r"operator aten.linalg_qr.default in blocks.0 \(Calling\)"),
        (Counting(True), "keeps a state between calls.*'calls'.*an input and an output"),
        (Calling(lambda x: x + torch.randn(3)), "change from run to run"),
        (Calling(lambda x: torch.dropout(x, 0.5, True) * 0), "native_dropout.*draws random"),
        (Calling(lambda x: torch.fft.rfft(x)), "returns complex numbers.*view_as_real"),
        (Calling(lambda x: None), "returns no tensor"),
        (Calling(lambda x: x.reshape(7)), "fails on inputs of shape 2x3"),
    ],
    ids=[
        *("branch", "operator", "state", "random", "dropout", "complex", "nothing", "shape"),
    ],
)
def test_says_what_is_wrong(module: nn.Module, sentence: str) -> None:
    with pytest.raises(ModelError, match=sentence) as raised:
        imported(module, X)
    assert "\n" not in str(raised.value)


def keyword_factory() -> tuple[nn.Module, dict[str, torch.Tensor]]:
    return Keyed(), {"x": torch.zeros(2, 3), "scale": X}


def strange_factory() -> tuple[nn.Module, tuple[object]]:
    return Keyed(), (object(),)


def test_factories_with_keyword_examples() -> None:
    model = load(f"{__name__}:keyword_factory", [], 0)
    assert [spec.name for spec in model.inputs] == ["x", "scale"]
    assert np.count_nonzero(model.examples[0].inputs[0]) == 6
    assert_like_torch(model)
    other = load(f"{__name__}:keyword_factory", [InputSpec("x", (2, 1))], 0)
    assert other.examples[0].inputs[0].shape == (2, 1)
    with pytest.raises(ModelError, match="example input of type object"):
        load(f"{__name__}:strange_factory", [], 0)


def test_the_library_computes_what_its_input_says() -> None:
    model = imported(Calling(lambda x: x * 2), X)
    np.testing.assert_array_equal(computed(model)[0], 2 * model.examples[-1].inputs[0])
