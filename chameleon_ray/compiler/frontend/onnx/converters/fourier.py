"""DFT and STFT, as products with matrices of cosines and sines, and windows."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import helper
from tvm import relax, te, tirx

from chameleon_ray.compiler.frontend.onnx.converters.run_time_extents import extent_of
from chameleon_ray.compiler.frontend.onnx.extents import axis_of, extents, rank
from chameleon_ray.compiler.frontend.onnx.node import Converter, Key, Node, Untranslatable
from chameleon_ray.compiler.relax import constant

Pair = tuple[relax.Expr, relax.Expr | None]
"""Real and imaginary part of a signal; None where that is zero."""


def _transformed(node: Node, signal: Pair, bins: int, inverse: bool) -> relax.Var:
    """Transforms the last axis; the result has a last axis more, of real and imaginary parts."""
    real, imaginary = signal
    size, dtype = extents(real)[-1], str(real.ty.dtype)
    angles = 2 * math.pi / size * (np.outer(np.arange(size), np.arange(bins)) % size)
    factor = 1 / size if inverse else 1
    cosines = constant(factor * np.cos(angles), dtype)
    sines = constant(factor * np.sin(angles) * (1 if inverse else -1), dtype)
    parts = [relax.op.matmul(real, cosines), relax.op.matmul(real, sines)]
    if imaginary is not None:
        other = [relax.op.matmul(imaginary, sines), relax.op.matmul(imaginary, cosines)]
        parts = [relax.op.subtract(parts[0], other[0]), relax.op.add(parts[1], other[1])]
    return node.emit(relax.op.stack([node.emit(part) for part in parts], -1))


def dft(node: Node) -> relax.Expr:
    """Converts DFT of a real or complex signal along any axis."""
    data = node.input(0)
    count = rank(data)
    if node.version < 20:
        axis = int(node.attributes.get("axis", 1))
    else:
        axis = -2 if node.optional(2) is None else int(node.constant(2, "axes").item())
    axis = axis_of(axis, count)
    inverse = bool(node.attributes.get("inverse", 0))
    half = bool(node.attributes.get("onesided", 0))
    if axis == count - 1:
        raise Untranslatable("it transforms the axis of complex parts; correct the model")
    others = [place for place in range(count - 1) if place != axis]
    parts = [
        node.emit(relax.op.permute_dims(part, [*others, axis])) for part in _complex(node, data)
    ]
    known = None if node.optional(1) is None else int(node.constant(1, "lengths").item())
    if half and inverse:
        result = _from_half(node, parts, known)
    else:
        parts = parts if known is None else [_resized(node, part, known) for part in parts]
        size = extents(parts[0])[-1]
        signal = (parts[0], parts[1] if len(parts) > 1 else None)
        result = _transformed(node, signal, size // 2 + 1 if half else size, inverse)
    back = [*others, axis]
    return relax.op.permute_dims(result, [*(back.index(k) for k in range(count - 1)), count - 1])


def _complex(node: Node, data: relax.Expr) -> list[relax.Var]:
    """Returns the real part, and the imaginary one of a complex signal."""
    last = rank(data) - 1
    parts = []
    for place in range(extents(data)[last]):
        part = relax.op.strided_slice(data, [last], [place], [place + 1])
        parts.append(node.emit(relax.op.squeeze(part, [last])))
    return parts


def _resized(node: Node, signal: relax.Expr, wanted: int) -> relax.Var:
    """Cuts the last axis of a signal off, or adds zeros."""
    *outer, size = extents(signal)
    if wanted <= size:
        return node.emit(relax.op.strided_slice(signal, [len(outer)], [0], [wanted]))
    zeros = constant(np.zeros((*outer, wanted - size)), str(signal.ty.dtype))
    return node.emit(relax.op.concat([signal, zeros], -1))


def _from_half(node: Node, parts: Sequence[relax.Expr], length: int | None) -> relax.Var:
    """Returns the real signal of half a spectrum, whose other half is its mirror image."""
    size = 2 * (extents(parts[0])[-1] - 1) if length is None else length
    bins = size // 2 + 1
    angles = 2 * math.pi / size * (np.outer(np.arange(bins), np.arange(size)) % size)
    twice = np.full((bins, 1), 2 / size)
    twice[0] = 1 / size
    if size % 2 == 0:
        twice[-1] = 1 / size
    matrices = [twice * np.cos(angles), -twice * np.sin(angles)]
    products = [
        relax.op.matmul(_resized(node, part, bins), constant(matrix, str(part.ty.dtype)))
        for part, matrix in zip(parts, matrices, strict=False)
    ]
    total = products[0] if len(products) == 1 else relax.op.add(*products)
    return node.emit(relax.op.expand_dims(total, -1))


def stft(node: Node) -> relax.Expr:
    """Converts STFT: frames of the signal, times the window, each transformed."""
    data = node.input(0)
    data = data if rank(data) == 3 else node.emit(relax.op.expand_dims(data, 2))
    step = int(node.constant(1, "steps").item())
    window = node.optional(2)
    if node.optional(3) is not None:
        size = int(node.constant(3, "lengths").item())
    elif window is not None:
        size = extents(window)[0]
    else:
        raise Untranslatable("it has neither a window nor a frame_length; correct the model")
    _, length, _ = extents(data)
    frames = (length - size) // step + 1
    given = [] if window is None else [window]

    def framed(signal: Any, *window: Any) -> Any:
        def value(b: Any, frame: Any, place: Any) -> Any:
            sample = signal(b, frame * step + place)
            return sample * window[0](place) if window else sample

        return te.compute((signal.shape[0], frames, size), value, "framed")

    parts = [node.emit(node.builder.call_te(framed, part, *given)) for part in _complex(node, data)]
    half = bool(node.attributes.get("onesided", 1))
    if half and len(parts) > 1:
        raise Untranslatable("it halves the spectrum of a complex signal; correct the model")
    signal = (parts[0], parts[1] if len(parts) > 1 else None)
    return _transformed(node, signal, size // 2 + 1 if half else size, False)


def _window(coefficients: Sequence[float]) -> Converter:
    """Makes a converter of a window that is a sum of cosines, given their factors."""

    def convert(node: Node) -> relax.Expr:
        given = node.attributes.get("output_datatype", 1)
        dtype = np.dtype(helper.tensor_dtype_to_np_dtype(given)).name
        periodic = bool(node.attributes.get("periodic", 1))
        declared = node.outputs[0].shape
        size = extent_of(node, 0, None if declared is None else declared[0])
        if isinstance(size, int):
            turns = 2 * math.pi * np.arange(size) / max(size if periodic else size - 1, 1)
            terms = [a * np.cos(k * turns) for k, a in enumerate(coefficients)]
            return constant(np.sum(terms, axis=0), dtype)

        def window(*_: Any) -> Any:
            whole = tirx.Cast("float64", size if periodic else tirx.max(size - 1, 1))

            def value(place: Any) -> Any:
                turn = tirx.Cast("float64", place) * (2 * math.pi) / whole
                terms = [a * tirx.cos(k * turn) for k, a in enumerate(coefficients)]
                return tirx.Cast(dtype, sum(terms[1:], terms[0]))

            return te.compute((size,), value, "window")

        return node.builder.call_te(window)

    return convert


def mel_weight_matrix(node: Node) -> relax.Expr:
    """Converts MelWeightMatrix of constants, which is one itself."""
    bins, size, rate = (int(node.constant(k, "sizes").item()) for k in range(3))
    low, high = (float(node.constant(k, "frequencies").item()) for k in (3, 4))
    dtype = np.dtype(helper.tensor_dtype_to_np_dtype(node.attributes.get("output_datatype", 1)))
    rows = size // 2 + 1
    mels = [2595 * math.log10(1 + frequency / 700) for frequency in (low, high)]
    points = mels[0] + (mels[1] - mels[0]) / (bins + 2) * np.arange(bins + 2)
    places = ((size + 1) * 700 * (10 ** (points / 2595) - 1) // rate).astype(int)
    matrix = np.zeros((rows, bins))
    for column in range(bins):
        first, centre, last = places[column : column + 3]
        if first == centre:
            matrix[centre, column] = 1
        else:
            rising = np.arange(first, centre + 1)
            matrix[rising, column] = (rising - first) / (centre - first)
        if last > centre:
            falling = np.arange(centre, last)
            matrix[falling, column] = (last - falling) / (last - centre)
    return constant(matrix, dtype.name)


HAMMING = 25 / 46
CONVERTERS: dict[Key, Converter] = {
    ("", "BlackmanWindow"): _window([0.42, -0.5, 0.08]),
    ("", "HammingWindow"): _window([HAMMING, HAMMING - 1]),
    ("", "HannWindow"): _window([0.5, -0.5]),
    ("", "DFT"): dft,
    ("", "STFT"): stft,
    ("", "MelWeightMatrix"): mel_weight_matrix,
}
