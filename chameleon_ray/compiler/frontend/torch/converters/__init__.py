"""Converters of torch's operators, by name; each file has those of one kind, and a table of them.

TVM's own converters are used where there is none here.
"""

from chameleon_ray.compiler.frontend.torch.converters import (
    activations,
    arithmetic,
    complex_numbers,
    control,
    elementwise,
    indexing,
    pooling,
    products,
    quantized,
    reductions,
    resizing,
    sampling,
    scattering,
    tables,
    views,
)
from chameleon_ray.compiler.frontend.torch.node import Converter

SIMPLE = {**elementwise.CONVERTERS, **arithmetic.CONVERTERS}
PRIMITIVE = {
    f"prims.{name.split('.')[1]}.default": converter
    for name, converter in SIMPLE.items()
    if name.endswith((".default", ".Tensor", ".Tensor_Tensor"))
}
"""Converters of what torch's own decompositions of elementwise operators are made of."""
CONVERTERS: dict[str, Converter] = {
    **PRIMITIVE,
    **elementwise.CONVERTERS,
    **arithmetic.CONVERTERS,
    **activations.CONVERTERS,
    **reductions.CONVERTERS,
    **products.CONVERTERS,
    **views.CONVERTERS,
    **indexing.CONVERTERS,
    **scattering.CONVERTERS,
    **tables.CONVERTERS,
    **pooling.CONVERTERS,
    **resizing.CONVERTERS,
    **sampling.CONVERTERS,
    **complex_numbers.CONVERTERS,
    **control.CONVERTERS,
    **quantized.CONVERTERS,
}
"""Converters by operator, as ``namespace.name.overload``."""
ON_COMPLEX = complex_numbers.ON_COMPLEX
"""Converters that take the place of others where an argument is complex."""
