"""Converters of torch's operators, by name; each file has those of one kind, and a table of them.

TVM's own converters are used where there is none here.
"""

from chameleon_ray.compiler.frontend.torch.converters import (
    activations,
    complex_numbers,
    control,
    elementwise,
    indexing,
    pooling,
    products,
    reductions,
    resizing,
    views,
)
from chameleon_ray.compiler.frontend.torch.node import Converter

CONVERTERS: dict[str, Converter] = {
    **elementwise.CONVERTERS,
    **activations.CONVERTERS,
    **reductions.CONVERTERS,
    **products.CONVERTERS,
    **views.CONVERTERS,
    **indexing.CONVERTERS,
    **pooling.CONVERTERS,
    **resizing.CONVERTERS,
    **complex_numbers.CONVERTERS,
    **control.CONVERTERS,
}
"""Converters by operator, as ``namespace.name.overload``."""
ON_COMPLEX = complex_numbers.ON_COMPLEX
"""Converters that take the place of others where an argument is complex."""
