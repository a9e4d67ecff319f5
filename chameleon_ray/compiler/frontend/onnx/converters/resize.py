"""Resize and Upsample in all their modes, axis by axis."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from tvm import relax

from chameleon_ray.compiler.frontend.interpolation import (
    CUBIC,
    Axis,
    cubic,
    gathered,
    linear,
    nearest,
    positions,
    summed,
    taps,
)
from chameleon_ray.compiler.frontend.onnx.extents import extents
from chameleon_ray.compiler.frontend.onnx.node import Converter, Key, Node, Untranslatable
from chameleon_ray.compiler.relax import constant


@dataclass(frozen=True)
class Mode:
    """The way in which a tensor is resized.

    Attributes:
        kind: ``nearest``, ``linear`` or ``cubic``.
        transformation: Formula of positions, by ONNX's name.
        rounding: Rounding of positions where the kind is nearest, by ONNX's name.
        cubic: Parameter of the cubic kernel.
        antialias: Whether kernels widen where the tensor shrinks.
        exclude_outside: Whether what lies beyond the ends has no weight.
        outside: Value of outputs that lie outside the input, for ``tf_crop_and_resize``.
    """

    kind: str
    transformation: str
    rounding: str
    cubic: float = CUBIC
    antialias: bool = False
    exclude_outside: bool = False
    outside: float = 0.0


def resize(node: Node) -> relax.Expr:
    """Converts Resize, whose scales are its second input in version 10, and the third since."""
    given = node.attributes
    mode = Mode(
        kind=given.get("mode", "nearest"),
        transformation=given.get(
            "coordinate_transformation_mode", "half_pixel" if node.version > 10 else "asymmetric"
        ),
        rounding=given.get("nearest_mode", "round_prefer_floor" if node.version > 10 else "floor"),
        cubic=given.get("cubic_coeff_a", CUBIC),
        antialias=bool(given.get("antialias", 0)),
        exclude_outside=bool(given.get("exclude_outside", 0)),
        outside=given.get("extrapolation_value", 0.0),
    )
    return _resized(node, node.input(0), _axes(node), mode)


def upsample(node: Node) -> relax.Expr:
    """Converts Upsample, whose scales are an attribute before version 9, and an input since."""
    kind = "nearest" if node.attributes.get("mode", "nearest") == "nearest" else "linear"
    if node.version < 9:
        scales = np.asarray(node.attributes["scales"], np.float32)
    else:
        scales = node.constant(1, "scales")
    data = node.input(0)
    lengths = extents(data)
    axes = {
        place: Axis(length, int(np.floor(length * np.float32(scale))), float(scale))
        for place, (length, scale) in enumerate(zip(lengths, scales, strict=True))
    }
    return _resized(node, data, axes, Mode(kind, "asymmetric", "floor"))


def _axes(node: Node) -> dict[int, Axis]:
    """Returns the axes that a Resize names, with their sizes, by place."""
    lengths = extents(node.input(0))
    named = node.attributes.get("axes", range(len(lengths)))
    places = [place % len(lengths) for place in named]
    old = node.version < 11
    scales, sizes = _known(node, 1 if old else 2), None if old else _known(node, 3)
    roi = None if old else node.known(1)
    inside = [lengths[place] for place in places]
    if sizes is not None:
        asked = [int(size) for size in sizes]
        found, ratios = _policy(node, asked, inside)
    elif scales is not None:
        ratios = [float(scale) for scale in scales]
        pairs = zip(inside, scales, strict=True)
        found = [int(np.floor(np.float32(length) * np.float32(scale))) for length, scale in pairs]
    else:
        raise Untranslatable(
            "its scales or sizes are computed at run time; export the model with constant ones, or "
            "fix an input with --input NAME=VALUE"
        )
    _demand_region(node)
    count = len(places)
    ends = roi if roi is not None and roi.size == 2 * count else [0.0] * count + [1.0] * count
    return {
        place: Axis(lengths[place], found[i], ratios[i], float(ends[i]), float(ends[count + i]))
        for i, place in enumerate(places)
    }


def _demand_region(node: Node) -> None:
    """Refuses a region to crop that is computed at run time."""
    crops = node.attributes.get("coordinate_transformation_mode") == "tf_crop_and_resize"
    if crops and node.optional(1) is not None and node.known(1) is None:
        raise Untranslatable(
            "its region is computed at run time; export the model with a constant region"
        )


def _known(node: Node, place: int) -> np.ndarray | None:
    """Returns a constant input; None where it is left out, or empty, or computed at run time."""
    value = node.known(place)
    return None if value is None or value.size == 0 else value


def _policy(
    node: Node, sizes: Sequence[int], lengths: Sequence[int]
) -> tuple[list[int], list[float]]:
    """Returns the sizes and ratios by the policy on keeping the aspect ratio."""
    ratios = [size / length for size, length in zip(sizes, lengths, strict=True)]
    policy = node.attributes.get("keep_aspect_ratio_policy", "stretch")
    if policy == "stretch":
        return list(sizes), ratios
    ratio = min(ratios) if policy == "not_larger" else max(ratios)
    return [int(np.floor(ratio * length + 0.5)) for length in lengths], [ratio] * len(sizes)


def _resized(node: Node, data: relax.Expr, axes: dict[int, Axis], mode: Mode) -> relax.Expr:
    changed = {
        place: axis
        for place, axis in axes.items()
        if axis.size != axis.length or axis.scale != 1 or mode.transformation.startswith("tf_crop")
    }
    if mode.kind == "nearest":
        return _outside(node, _nearest(node, data, changed, mode), changed, mode)
    if mode.kind not in ("linear", "cubic"):
        raise Untranslatable(f"there is no mode {mode.kind!r}; export it with linear")
    picture = _picture(data, changed, mode)
    if picture is not None:
        return picture
    dtype = str(data.ty.dtype)
    wide = dtype if dtype in ("float32", "float64") else "float32"
    value = data if wide == dtype else node.emit(relax.op.astype(data, wide))
    kernel = linear if mode.kind == "linear" else partial(cubic, a=mode.cubic)
    for place, axis in changed.items():
        parts = taps(
            *(axis, mode.transformation, kernel, 1 if mode.kind == "linear" else 2),
            *(mode.antialias, mode.exclude_outside),
        )
        value = summed(node.builder, value, place, parts)
    value = _outside(node, value, changed, mode)
    return value if wide == dtype else relax.op.astype(value, dtype)


def _nearest(node: Node, data: relax.Expr, axes: dict[int, Axis], mode: Mode) -> relax.Expr:
    found = {p: nearest(axis, mode.transformation, mode.rounding) for p, axis in axes.items()}
    even = all(
        np.array_equal(places, np.arange(axes[p].size) * axes[p].length // axes[p].size)
        for p, places in found.items()
    )
    if even and axes and _is_picture(data, axes):
        return _resize2d(data, axes, "nearest_neighbor", "asymmetric", "floor")
    for place, places in found.items():
        data = node.emit(gathered(data, place, places))
    return data


def _picture(data: relax.Expr, axes: dict[int, Axis], mode: Mode) -> relax.Expr | None:
    """Returns TVM's operator for the usual cases, which layout passes know; None for others."""
    transformations = {"half_pixel": "half_pixel", "align_corners": "align_corners"}
    transformations |= {"asymmetric": "asymmetric", "pytorch_half_pixel": "half_pixel"}
    usual = (
        mode.kind == "linear"
        and mode.transformation in transformations
        and not (mode.antialias or mode.exclude_outside)
        and all(axis.size > 1 and axis.scale == axis.size / axis.length for axis in axes.values())
        and str(data.ty.dtype) == "float32"
    )
    if not (usual and axes and _is_picture(data, axes)):
        return None
    return _resize2d(data, axes, "linear", transformations[mode.transformation], "")


def _is_picture(data: relax.Expr, axes: dict[int, Axis]) -> bool:
    return data.ty.ndim == 4 and set(axes) <= {2, 3}


def _resize2d(
    data: relax.Expr, axes: dict[int, Axis], method: str, transformation: str, rounding: str
) -> relax.Expr:
    lengths = extents(data)
    sizes = [axes[place].size if place in axes else lengths[place] for place in (2, 3)]
    return relax.op.image.resize2d(
        data,
        relax.ShapeExpr(sizes),
        layout="NCHW",
        method=method,
        coordinate_transformation_mode=transformation,
        rounding_method=rounding,
    )


def _outside(node: Node, value: relax.Expr, axes: dict[int, Axis], mode: Mode) -> relax.Expr:
    """Sets the outputs that lie outside the input, which only a cropping Resize has."""
    if mode.transformation != "tf_crop_and_resize":
        return value
    for place, axis in axes.items():
        exact: Any = positions(axis, mode.transformation)
        beyond = (exact < 0) | (exact > axis.length - 1)
        if beyond.any():
            shape = [-1 if p == place else 1 for p in range(value.ty.ndim)]
            fill = constant(np.asarray(mode.outside), str(value.ty.dtype))
            value = node.emit(relax.op.where(constant(beyond.reshape(shape), "bool"), fill, value))
    return value


CONVERTERS: dict[Key, Converter] = {("", "Resize"): resize, ("", "Upsample"): upsample}
