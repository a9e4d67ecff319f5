"""Converters of operators that TVM's importer lacks or gets wrong, by domain and type.

Each file has those of one kind of operator, and a table of them.
"""

from chameleon_ray.compiler.frontend.onnx.converters import (
    bit_cast,
    classical,
    clip,
    conditional,
    cumulative,
    data_dependent,
    determinant,
    filled,
    fourier,
    loops,
    microsoft,
    microsoft_attention,
    nms,
    one_hot,
    recurrent,
    reordered,
    sequences,
    split,
    top_k,
    trees,
)
from chameleon_ray.compiler.frontend.onnx.node import Converter, Key

CONVERTERS: dict[Key, Converter] = {
    **bit_cast.CONVERTERS,
    **classical.CONVERTERS,
    **clip.CONVERTERS,
    **conditional.CONVERTERS,
    **cumulative.CONVERTERS,
    **data_dependent.CONVERTERS,
    **determinant.CONVERTERS,
    **filled.CONVERTERS,
    **fourier.CONVERTERS,
    **loops.CONVERTERS,
    **microsoft.CONVERTERS,
    **microsoft_attention.CONVERTERS,
    **nms.CONVERTERS,
    **one_hot.CONVERTERS,
    **recurrent.CONVERTERS,
    **reordered.CONVERTERS,
    **sequences.CONVERTERS,
    **split.CONVERTERS,
    **top_k.CONVERTERS,
    **trees.CONVERTERS,
}
"""Own converters, which are preferred to TVM's."""
