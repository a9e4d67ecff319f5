"""Strict JSON: what is not finite is null, and no default of an option is."""

import json
from dataclasses import asdict
from math import inf, nan

import numpy as np
import pytest

from chameleon_ray.options import Request
from chameleon_ray.presets import PRESETS
from chameleon_ray.report.strict_json import strict


def test_what_is_not_finite_is_null() -> None:
    body = {"a": [inf, 1.5, (nan,)], 2: np.float64("-inf"), "n": np.int64(3), "t": True}
    assert strict(body) == {"a": [None, 1.5, [None]], "2": None, "n": 3, "t": True}


@pytest.mark.parametrize("options", [Request("net"), *PRESETS.values()])
def test_options_can_be_kept_as_json(options: object) -> None:
    json.dumps(asdict(options), allow_nan=False)  # type: ignore[call-overload]
