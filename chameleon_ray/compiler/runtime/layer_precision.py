"""Finds out the precision that a layer computes in, from its loop nests."""

import re
from functools import lru_cache
from typing import Any

from chameleon_ray.measure.precision import FLOATS, PRECISION, Precision

FLOAT = re.compile(rf"\b({'|'.join(FLOATS)})\b")
CAST = re.compile(r'\bCast\("u?int8"')
"""Cast to the types that floats are quantised to, in TVM's script."""


@lru_cache(maxsize=256)
def layer_precision(program: bytes) -> Precision:
    """Returns the precision of a layer, given as its program."""
    from chameleon_ray.compiler.spaces.sketch import Program

    return function_precision(Program.loads(program).module["main"])


def function_precision(function: Any) -> Precision:
    """Returns the precision of a TIR function: its coarsest type of floats, and its quantisations.

    TVM has no visitor of loop nests in Python, so this reads their script.
    """
    text = function.script(show_meta=False)
    seen = FLOAT.findall(text)
    if PRECISION in (function.attrs or {}):
        seen.append(str(function.attrs[PRECISION]))
    coarsest = max(seen, key=FLOATS.index, default="float32")
    return Precision(coarsest, len(CAST.findall(text)) if seen else 0)
