"""Tells in few words what an operator computes: kind, kernel, stride, channels and extents."""

from collections.abc import Sequence
from typing import Any

from tvm.ir import Call

from chameleon_ray.compiler.relax import is_static, operator

CONVOLUTIONS = {
    f"relax.nn.conv{rank}d{turned}" for rank in (1, 2, 3) for turned in ("", "_transpose")
}
POOLS = {f"relax.nn.{kind}_pool{rank}d": kind for kind in ("max", "avg") for rank in (1, 2, 3)}


def described(call: Call, label: str) -> str:
    """Describes what a call of an operator computes.

    Args:
        call: The call; its types are known.
        label: What the model calls the operator, which is told where more is not known.
    """
    name = operator(call)
    if not is_static(call.ty, *(arg.ty for arg in call.args[:1])):
        return label
    if name in CONVOLUTIONS and is_static(call.args[1].ty):
        return _convolution(call)
    if name == "relax.matmul":
        return _product(call)
    if name in POOLS:
        window = _window(call.attrs.pool_size, call.attrs.strides)
        return f"{POOLS[name]} pool {window} {_extents(call)}"
    return f"{label} {_extents(call)}"


def _convolution(call: Call) -> str:
    """Describes a convolution as ``conv 3x3/2 64→128 @28x28``."""
    attrs, sizes = call.attrs, _shape(call.args[1])
    layout, out = str(attrs.kernel_layout), str(attrs.out_layout or attrs.data_layout)
    turned = operator(call).endswith("transpose")
    places = {axis: sizes[place] for place, axis in enumerate(layout)}
    kernel = [size for axis, size in places.items() if axis not in "IO"]
    groups = int(attrs.groups)
    inputs = int(_shape(call.args[0])[str(attrs.data_layout).index("C")])
    outputs = _shape(call)[out.index("C")]
    kind = "transposed conv" if turned else "conv"
    if groups > 1:
        kind = f"depthwise {kind}" if groups == inputs else f"grouped {kind}"
    kind = kind if len(kernel) == 2 else kind.replace("conv", f"conv{len(kernel)}d")
    dilated = {int(step) for step in attrs.dilation} - {1}
    window = _window(kernel, attrs.strides) + "".join(f" dilated {n}" for n in sorted(dilated)[:1])
    images = _shape(call)[out.index("N")]
    extents = [size for axis, size in zip(out, _shape(call), strict=True) if axis not in "NC"]
    extents = [images, *extents] if images > 1 else extents
    channels = str(outputs) if groups == inputs == outputs > 1 else f"{inputs}→{outputs}"
    return f"{kind} {window} {channels} @{_times(extents)}"


def _product(call: Call) -> str:
    """Describes a matrix product as ``matmul 768→3072 @197``: columns in and out, at its rows."""
    rows = [size for size in _shape(call)[:-1] if size > 1]
    depth, columns = _shape(call.args[0])[-1], _shape(call)[-1] if _shape(call) else 1
    return f"matmul {depth}→{columns} @{_times(rows or [1])}"


def _window(kernel: Sequence[Any], strides: Sequence[Any]) -> str:
    """Writes kernel and stride as ``3x3/2``."""
    steps = [int(step) for step in strides]
    step = _times(steps if len(set(steps)) > 1 else steps[:1])
    return f"{_times([int(size) for size in kernel])}/{step}"


def _extents(call: Call) -> str:
    shape = _shape(call)
    ones = next((place for place, size in enumerate(shape) if size > 1), len(shape))
    return f"@{_times(shape[ones:] or [1])}"


def _times(sizes: Sequence[int]) -> str:
    return "x".join(map(str, sizes))


def _shape(value: Any) -> list[int]:
    return [int(size) for size in value.ty.shape]
