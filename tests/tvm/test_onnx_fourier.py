"""Fourier transforms and windows of ONNX, against ONNX Runtime and numpy."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper

from tests.tvm.onnx_graph import assert_like_onnxruntime, assert_same, computed, graph

node = helper.make_node


def drawn(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).standard_normal(shape).astype("float32")


@pytest.mark.parametrize("axis", [1, 2, -2])
@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("inverse", [0, 1])
def test_transform(axis: int, parts: int, inverse: int, tmp_path: Path) -> None:
    feeds = {"x": drawn(2, 6, 5, parts)}
    nodes = [node("DFT", ["x", "", "axis"], ["y"], inverse=inverse)]
    model = graph(nodes, feeds, ["y"], {"axis": np.array(axis)}, 20)
    x = feeds["x"][..., 0] + (1j * feeds["x"][..., 1] if parts == 2 else 0)
    result = (np.fft.ifft if inverse else np.fft.fft)(x, axis=axis if axis > 0 else 2)
    expected = np.stack([result.real, result.imag], -1).astype("float32")
    assert_same(computed(model, feeds, tmp_path), [expected], atol=1e-4)


@pytest.mark.parametrize("length", [4, 6, 9])
def test_half_a_spectrum_of_another_length(length: int, tmp_path: Path) -> None:
    feeds = {"x": drawn(2, 6, 1)}
    nodes = [node("DFT", ["x", "length"], ["y"], axis=1, onesided=1)]
    model = graph(nodes, feeds, ["y"], {"length": np.array(length)}, 17)
    result = np.fft.rfft(feeds["x"][..., 0], length, axis=1)
    expected = np.stack([result.real, result.imag], -1).astype("float32")
    assert_same(computed(model, feeds, tmp_path), [expected], atol=1e-4)


@pytest.mark.parametrize("length", [None, 7, 12])
def test_signal_of_half_a_spectrum(length: int | None, tmp_path: Path) -> None:
    feeds = {"x": drawn(2, 5, 2)}
    feeds["x"][:, [0, -1], 1] = 0
    weights = {"axis": np.array(1)} | ({} if length is None else {"length": np.array(length)})
    names = ["x", "" if length is None else "length", "axis"]
    model = graph([node("DFT", names, ["y"], inverse=1, onesided=1)], feeds, ["y"], weights, 20)
    x = feeds["x"][..., 0] + 1j * feeds["x"][..., 1]
    expected = np.fft.irfft(x, length, axis=1)[..., None].astype("float32")
    assert_same(computed(model, feeds, tmp_path), [expected], atol=1e-4)


@pytest.mark.parametrize("window", [False, True])
@pytest.mark.parametrize("onesided", [0, 1])
def test_short_transforms(window: bool, onesided: int, tmp_path: Path) -> None:
    feeds = {"x": drawn(2, 40, 1)}
    weights: dict[str, Any] = {"step": np.array(5), "length": np.array(16)}
    weights |= {"window": np.hanning(16).astype("float32")} if window else {}
    names = ["x", "step", "window" if window else "", "length"]
    model = graph([node("STFT", names, ["y"], onesided=onesided)], feeds, ["y"], weights, 17)
    assert_like_onnxruntime(model, feeds, tmp_path, 1e-3, 1e-4)


@pytest.mark.parametrize("kind", ["HannWindow", "HammingWindow", "BlackmanWindow"])
@pytest.mark.parametrize("periodic", [0, 1])
def test_windows_of_a_size_that_is_fed(kind: str, periodic: int, tmp_path: Path) -> None:
    feeds = {"size": np.array(9)}
    model = graph([node(kind, ["size"], ["y"], periodic=periodic)], feeds, ["y"])
    assert_like_onnxruntime(model, feeds, tmp_path, 1e-4, 1e-5)


def test_mel_weights(tmp_path: Path) -> None:
    numbers = [8, 64, 16000, np.float32(0), np.float32(8000)]
    weights = {name: np.asarray(number) for name, number in zip("abcde", numbers, strict=True)}
    feeds = {"x": drawn(3, 33)}
    nodes = [node("MelWeightMatrix", list("abcde"), ["w"]), node("MatMul", ["x", "w"], ["y"])]
    assert_like_onnxruntime(graph(nodes, feeds, ["y"], weights), feeds, tmp_path)
