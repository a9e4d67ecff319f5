"""Chooses the calls of a vendor's functions that compute a layer."""

from typing import Any

from chameleon_ray.compiler.spaces.vendor.conv2d import convolutions
from chameleon_ray.compiler.spaces.vendor.epilogue import Unknown
from chameleon_ray.compiler.spaces.vendor.layer import Call, Layer
from chameleon_ray.compiler.spaces.vendor.matmul import products


def calls(module: Any) -> dict[str, Call]:
    """Returns the calls that compute a layer, by library; none for most layers.

    Args:
        module: IRModule with one PrimFunc ``main``.
    """
    try:
        layer = Layer(module)
        found = products(layer) if len(layer.reduced) == 1 else convolutions(layer)
    except Unknown:
        return {}
    return {call.library: call for call in found}
