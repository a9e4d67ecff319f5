"""Converters of operators that TVM's importer lacks or gets wrong, by domain and type.

Each file has those of one kind of operator, and a table of them.
"""

from chameleon_ray.compiler.frontend.onnx.converters import (
    activation,
    arithmetic,
    bit_cast,
    classical,
    clip,
    conditional,
    constant,
    conv_transpose,
    cumulative,
    data_dependent,
    deformable,
    determinant,
    dropout,
    filled,
    fourier,
    loops,
    lp_normalization,
    microsoft,
    microsoft_attention,
    nms,
    normalization,
    one_hot,
    pooling,
    rearranging,
    recurrent,
    reduction,
    reordered,
    resize,
    sequences,
    slicing,
    split,
    top_k,
    trees,
)
from chameleon_ray.compiler.frontend.onnx.node import Converter, Key

KINDS = (
    activation,
    arithmetic,
    bit_cast,
    classical,
    clip,
    conditional,
    constant,
    conv_transpose,
    cumulative,
    data_dependent,
    deformable,
    determinant,
    dropout,
    filled,
    fourier,
    loops,
    lp_normalization,
    microsoft,
    microsoft_attention,
    nms,
    normalization,
    one_hot,
    pooling,
    rearranging,
    recurrent,
    reduction,
    reordered,
    resize,
    sequences,
    slicing,
    split,
    top_k,
    trees,
)
"""Files of converters."""
CONVERTERS: dict[Key, Converter] = {
    key: converter for kind in KINDS for key, converter in kind.CONVERTERS.items()
}
"""Own converters, which are preferred to TVM's."""
