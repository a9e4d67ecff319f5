"""Strict JSON, which has no infinity and no NaN."""

from collections.abc import Mapping
from math import isfinite

import numpy as np


def strict(value: object) -> object:
    """Converts data to JSON's own types, with None for every number that is not finite."""
    if isinstance(value, Mapping):
        return {str(key): strict(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [strict(entry) for entry in value]
    if isinstance(value, np.generic):
        return strict(value.item())
    return None if isinstance(value, float) and not isfinite(value) else value
