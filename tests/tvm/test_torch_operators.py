"""Torch's operators, imported and compiled, against torch itself: a table for each kind."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from tests.tvm.torch_modules import Calling, assert_all_like_torch, assert_like_torch, imported

Functions = dict[str, Callable[..., Any]]


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


ARITHMETIC: Functions = {
    "frac": lambda x, y, i: torch.frac(x),
    "fmod": lambda x, y, i: torch.fmod(x, y),
    "remainder": lambda x, y, i: x % y,
    "floor division of floats": lambda x, y, i: x // 2,
    "floor division of integers": lambda x, y, i: i // 2,
    "truncating division": lambda x, y, i: torch.div(i, 2, rounding_mode="trunc"),
    "true division of integers": lambda x, y, i: i / 2,
    "integers modulo": lambda x, y, i: i % 3,
    "reversed subtraction": lambda x, y, i: 2 - i,
    "mixed types": lambda x, y, i: x + i,
    "power of a number": lambda x, y, i: 2.0**x,
    "negative base": lambda x, y, i: x**3,
    "bounds": lambda x, y, i: (x.clamp(-0.5), torch.clamp(i, max=1), torch.clamp(x, y, y + 1))[2],
    "sign": lambda x, y, i: torch.sign(x),
    "round half to even": lambda x, y, i: torch.round(i / 2),
    "log1p and expm1": lambda x, y, i: torch.log1p(x.abs()) + torch.expm1(x),
    "logical and": lambda x, y, i: torch.logical_and(x > 0, i),
    "bits": lambda x, y, i: (i & 3) | (i ^ 5),
    "compare different types": lambda x, y, i: x > i,
    "copysign": lambda x, y, i: torch.copysign(x, y),
    "nan_to_num": lambda x, y, i: torch.nan_to_num(x / (i * 0), 1.0, 2.0, 3.0),
    "view as integers": lambda x, y, i: x.view(torch.int32),
    "to bool": lambda x, y, i: i.bool(),
}
REDUCTIONS: Functions = {
    "amax": lambda x: x.amax(1),
    "amin of all": lambda x: x.amin(),
    "logsumexp": lambda x: x.logsumexp(1),
    "std and var": lambda x: torch.stack([x.std(1), x.var(1, unbiased=False)]),
    "norms": lambda x: torch.stack([x.norm(p, dim=1) for p in (0, 1, 2, 3, float("inf"))]),
    "max with places": lambda x: x.max(1).indices,
    "argmax of all": lambda x: x.argmax(),
    "any": lambda x: (x > 1).any(1),
    "all": lambda x: (x > -9).all(),
    "cumulative sum of booleans": lambda x: (x > 0).cumsum(1),
    "cumulative product": lambda x: x.cumprod(1),
    "sort": lambda x: torch.sort(x, descending=True).values,
    "places of a sort": lambda x: torch.sort(x, stable=True).indices,
    "largest few": lambda x: torch.topk(x, 3).indices,
    "smallest few": lambda x: torch.topk(x, 2, 0, largest=False).values,
    "median": lambda x: x.median(1).values,
    "integer sum": lambda x: (x > 0).sum(0),
    "bucketize": lambda x: torch.bucketize(x, torch.tensor([-1.0, 0.0, 1.0])),
    "product": lambda x: x.prod(1),
}
VIEWS: Functions = {
    "as_strided": lambda x: torch.as_strided(x, (2, 3), (2, 1), 1),
    "select from the end": lambda x: x[:, -1],
    "steps": lambda x: x[:, 1::2],
    "roll": lambda x: torch.roll(x, (1, -1), (0, 1)),
    "flip": lambda x: x.flip(1),
    "repeat": lambda x: x.repeat(2, 1, 3),
    "repeat_interleave": lambda x: x.repeat_interleave(2, 1),
    "negative padding": lambda x: F.pad(x, (-1, 2), value=3.0),
    "padding of booleans": lambda x: F.pad(x > 0, (1, 1), value=True),
    "assigned slice": lambda x: torch.slice_scatter(x, torch.zeros(4, 3), 1, 0, 6, 2),
    "assigned place": lambda x: torch.select_scatter(x, torch.zeros(6), 0, -1),
    "diagonal": lambda x: torch.diagonal(x, 1),
    "windows": lambda x: x.unfold(1, 3, 2),
    "triangle": lambda x: torch.tril(x, -1),
    "stack": lambda x: torch.stack([x, x.double()], 1),
    "chunks": lambda x: x.chunk(4, 1)[-1],
    "einsum": lambda x: torch.einsum("ij,kj->ik", x, x),
}
INDEXING: Functions = {
    "two tensors": lambda x, i: x[torch.tensor([0, 1]), torch.tensor([1, 2])],
    "from the end": lambda x, i: x[:, torch.tensor([-1, 0])],
    "computed": lambda x, i: x[i[0] - 3],
    "apart": lambda x, i: x.reshape(3, 2, 2)[i[0, 1:3], :, torch.tensor([0, 1])],
    "known mask": lambda x, i: x[torch.tensor([True, False, True])],
    "assigned": lambda x, i: x.clone().index_put_((torch.tensor([0, 1]),), torch.tensor(5.0)),
    "added": lambda x, i: x.index_put((i[0],), torch.ones(4, 4), accumulate=True),
    "assigned by a mask": lambda x, i: x.masked_fill(x > 0, 7.0),
    "gather": lambda x, i: x.gather(1, i),
    "scatter_add": lambda x, i: torch.zeros(3, 4).scatter_add(1, i, x),
    "scatter of a part": lambda x, i: torch.zeros(3, 4).scatter(1, i[:, :2], x),
    "scatter the largest": lambda x, i: x.scatter_reduce(1, i, x * 2, "amax"),
    "scatter the mean": lambda x, i: x.scatter_reduce(1, i, x * 2, "mean", include_self=False),
    "index_add": lambda x, i: x.index_add(0, torch.tensor([0, 0]), x[:2], alpha=2),
    "index_select": lambda x, i: x.index_select(1, i[0]),
    "masked_scatter": lambda x, i: x.masked_scatter(x > 0, torch.arange(12.0)),
    "embedding": lambda x, i: F.embedding(i, x),
}
POOLS: Functions = {
    "other divisor": lambda x: F.avg_pool2d(x, 2, divisor_override=3),
    "rounded up": lambda x: F.avg_pool2d(x, 2, 2, 1, True),
    "padding not counted": lambda x: F.avg_pool2d(x, 3, 2, 1, True, count_include_pad=False),
    "largest, rounded up": lambda x: F.max_pool2d(x, 3, 2, 1, 1, True),
    "dilated": lambda x: F.max_pool2d(x, 2, 1, 0, 2),
    "places": lambda x: F.max_pool2d(x, 3, 2, 1, return_indices=True)[1],
    "put back": lambda x: F.max_unpool2d(
        *F.max_pool2d(x, 2, return_indices=True), 2, output_size=(7, 9)
    ),
    "mean of parts": lambda x: F.adaptive_avg_pool2d(x, (3, 2)),
    "largest of parts": lambda x: F.adaptive_max_pool2d(x, (3, 2)),
    "mean of parts of one axis": lambda x: F.adaptive_avg_pool1d(x[0], 3),
    "norm": lambda x: F.lp_pool2d(x.abs(), 2, 2),
    "unfold": lambda x: F.unfold(x, 3, padding=1),
    "fold": lambda x: F.fold(F.unfold(x, 3), (7, 9), 3),
    "reflected": lambda x: F.pad(x, (2, 1, 0, 3), "reflect"),
    "replicated": lambda x: F.pad(x, (2, 1, 0, 3), "replicate"),
    "around": lambda x: F.pad(x, (2, 1, 0, 3), "circular"),
    "pixel_shuffle": lambda x: F.pixel_shuffle(x.repeat(1, 2, 1, 1), 2),
}
RESIZED: Functions = {
    f"{mode}, {setting}": lambda x, mode=mode, setting=setting: F.interpolate(
        x, mode=mode, **dict(setting)
    )
    for mode, settings in {
        "nearest": [(("size", (4, 11)),), (("scale_factor", 2.3),)],
        "nearest-exact": [(("size", (4, 11)),)],
        "bilinear": [
            *[(("size", (4, 11)), ("align_corners", corners)) for corners in (True, False)],
            (("scale_factor", (2.0, 1.7)),),
            (("size", (3, 4)), ("antialias", True)),
        ],
        "bicubic": [(("size", (4, 11)),), (("size", (3, 12)), ("antialias", True))],
        "area": [(("size", (3, 4)),)],
    }.items()
    for setting in settings
}
OTHER_RANKS: Functions = {
    "linear": lambda x: F.interpolate(x[0, 0], scale_factor=2.0, mode="linear"),
    "trilinear": lambda x: F.interpolate(x, scale_factor=2.0, mode="trilinear"),
    "nearest": lambda x: F.interpolate(x, size=(2, 7, 3), mode="nearest"),
    "largest": lambda x: F.max_pool3d(x, 2),
    "mean": lambda x: F.avg_pool3d(x, 2),
    "convolution": lambda x: F.conv3d(x, torch.ones(1, 2, 2, 2, 2)),
}
SIGNALS: Functions = {
    "rfft": lambda x: torch.fft.rfft(x).abs(),
    "fft and back": lambda x: torch.fft.ifft(torch.fft.fft(x)).real,
    "rfft and back": lambda x: torch.fft.irfft(torch.fft.rfft(x), n=15),
    "fft2": lambda x: torch.view_as_real(torch.fft.fft2(x, norm="ortho")),
    "stft": lambda x: torch.stft(x, 8, 4, window=torch.hann_window(8), return_complex=True).abs(),
    "rotation": lambda x: torch.view_as_real(
        torch.view_as_complex(x.reshape(2, 8, 2)) * torch.polar(torch.ones(8), torch.arange(8.0))
    ),
}
ACTIVATIONS: Functions = {
    "rrelu": lambda x: F.rrelu(x),
    "softplus": lambda x: F.softplus(x, 2.0, 1.0),
    "logsigmoid": lambda x: F.logsigmoid(x),
    "celu": lambda x: F.celu(x, 2.0),
    "gelu": lambda x: F.gelu(x, approximate="tanh"),
    "glu": lambda x: F.glu(x, 1),
    "hardswish": lambda x: F.hardswish(x * 4),
    "softmax": lambda x: F.softmax(x, 0),
    "threshold": lambda x: F.threshold(x, 0.1, 20.0),
    "normalize": lambda x: F.normalize(x, dim=1),
    "attention": lambda x: F.scaled_dot_product_attention(
        *[x.reshape(1, 2, 4, -1)] * 3, is_causal=True
    ),
}


@pytest.mark.parametrize(
    ("functions", "inputs"),
    [
        (ARITHMETIC, (drawn(6), drawn(6) + 0.1, torch.tensor([-4, 5, -3, 0, 1, 7]))),
        (REDUCTIONS, (drawn(4, 5),)),
        (VIEWS, (drawn(4, 6),)),
        (INDEXING, (drawn(3, 4), torch.tensor([[0, 1, 2, 0], [1, 1, 0, 2], [2, 0, 1, 1]]))),
        (POOLS, (drawn(1, 2, 7, 9),)),
        (RESIZED, (drawn(1, 2, 6, 8),)),
        (OTHER_RANKS, (drawn(1, 2, 3, 4, 5),)),
        (SIGNALS, (drawn(2, 16),)),
        (ACTIVATIONS, (drawn(4, 6),)),
    ],
    ids=[
        *("arithmetic", "reductions", "views", "indexing", "pools", "resized", "other ranks"),
        *("signals", "activations"),
    ],
)
def test_operators(functions: Functions, inputs: tuple[torch.Tensor, ...]) -> None:
    assert_all_like_torch(functions, *inputs)


@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
def test_sampled_at_places(mode: str) -> None:
    functions: Functions = {
        f"{outside}, {corners}": lambda x, grid, outside=outside, corners=corners: F.grid_sample(
            x, grid, mode, outside, corners
        )
        for outside in ("zeros", "border", "reflection")
        for corners in (True, False)
    }
    assert_all_like_torch(functions, drawn(2, 3, 5, 6), 2 * drawn(2, 3, 4, 2))


def test_volume_sampled_at_places() -> None:
    functions: Functions = {
        mode: lambda x, grid, mode=mode: F.grid_sample(x, grid, mode, "reflection", False)
        for mode in ("bilinear", "nearest")
    }
    assert_all_like_torch(functions, drawn(1, 2, 3, 4, 5), drawn(1, 2, 3, 2, 3))


def test_bags_of_rows() -> None:
    table, functions = drawn(10, 4), Functions()
    for mode in ("sum", "mean", "max"):
        functions[f"{mode}, from starts"] = lambda places, starts, _, mode=mode: F.embedding_bag(
            places, table, starts, mode=mode, padding_idx=3
        )
        functions[f"{mode}, of equal length"] = lambda _, __, rows, mode=mode: F.embedding_bag(
            rows, table, mode=mode, padding_idx=3
        )
    places, starts = torch.tensor([1, 3, 3, 4, 9]), torch.tensor([0, 2, 2])
    assert_all_like_torch(functions, places, starts, torch.tensor([[1, 2], [3, 4]]))


@pytest.mark.parametrize("kind", [torch.nn.LSTM, torch.nn.GRU, torch.nn.RNN])
def test_recurrent_layers(kind: type[torch.nn.Module]) -> None:
    layer = kind(8, 6, 2, batch_first=True, bidirectional=True)  # type: ignore[call-arg]
    assert_like_torch(imported(layer, drawn(2, 2, 8)))


@pytest.mark.parametrize("kind", [torch.nn.ConvTranspose1d, torch.nn.ConvTranspose2d])
def test_transposed_convolutions(kind: type[torch.nn.Module]) -> None:
    spatial = 1 if kind is torch.nn.ConvTranspose1d else 2
    layer = kind(4, 6, 3, 2, 1, 1, groups=2)  # type: ignore[call-arg]
    assert_like_torch(imported(layer, drawn(1, 4, *[5] * spatial)))


def test_counts_that_depend_on_values() -> None:
    x = drawn(3, 4)
    functions: Functions = {
        "nonzero": lambda x: (x > 0).nonzero(),
        "mask": lambda x: x[x > 0],
        "rows": lambda x: x[x[:, 0] > 0],
        "masked_select": lambda x: torch.masked_select(x, x < 0),
    }
    assert_all_like_torch(functions, x)


def test_choice_at_run_time() -> None:
    module = Calling(lambda x: torch.cond(x.sum() > 0, lambda y: y + 1, lambda y: y - 1, (x,)))
    for x in (torch.ones(3), -torch.ones(3)):
        assert_like_torch(imported(module, x))
