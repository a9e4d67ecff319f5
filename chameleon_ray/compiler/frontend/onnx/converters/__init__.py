"""Converters of operators that TVM's importer lacks or gets wrong, by domain and type.

Each file has those of one kind of operator, and a table of them.
"""

from chameleon_ray.compiler.frontend.onnx.converters import (
    clip,
    conditional,
    constant,
    reduction,
    slicing,
    splitting,
)
from chameleon_ray.compiler.frontend.onnx.node import Converter, Key

CONVERTERS: dict[Key, Converter] = {
    **clip.CONVERTERS,
    **conditional.CONVERTERS,
    **constant.CONVERTERS,
    **reduction.CONVERTERS,
    **slicing.CONVERTERS,
    **splitting.CONVERTERS,
}
"""Own converters, which are preferred to TVM's."""
