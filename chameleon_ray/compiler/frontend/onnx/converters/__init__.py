"""Converters of operators that TVM's importer lacks or gets wrong, by domain and type.

Each file has those of one kind of operator, and a table of them.
"""

from chameleon_ray.compiler.frontend.onnx.converters import (
    clip,
    conditional,
    integer_products,
    qoperators,
    quantize,
)
from chameleon_ray.compiler.frontend.onnx.node import Converter, Key

CONVERTERS: dict[Key, Converter] = {
    **clip.CONVERTERS,
    **conditional.CONVERTERS,
    **integer_products.CONVERTERS,
    **qoperators.CONVERTERS,
    **quantize.CONVERTERS,
}
"""Own converters, which are preferred to TVM's."""
