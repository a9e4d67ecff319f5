"""Calls of a tuned model from Python: what fits its inputs, and what is said where one does not."""

from typing import Any

import numpy as np
import pytest
import torch

from chameleon_ray.errors import UserError
from chameleon_ray.interface.signature import Array, CallError, Signature
from chameleon_ray.interface.tuning import request_of

IDS, MASK = np.zeros((1, 4), "int64"), np.ones((1, 4), "float32")
BERT = Signature((Array("ids", (1, 4), "int64"), Array("mask", (1, 4), "float32")))
HUGE = [[1 << 70] * 4]
TAKES = "the model takes ids: 1x4 int64, mask: 1x4 float32."


@pytest.mark.parametrize(
    ("args", "named"),
    [
        ((IDS, MASK), {}),
        ((IDS,), {"mask": MASK}),
        ((), {"mask": MASK, "ids": IDS}),
        ((torch.from_numpy(IDS), torch.from_numpy(MASK)), {}),
    ],
)
def test_inputs_come_in_the_models_order(args: tuple[Any, ...], named: dict[str, Any]) -> None:
    ids, mask = BERT.bound(args, named)
    assert tuple(ids.shape) == tuple(mask.shape) == (1, 4)
    assert str(ids.dtype).endswith("int64")
    assert str(mask.dtype).endswith("float32")


def test_lists_become_arrays_of_the_inputs_type() -> None:
    ids, mask = BERT.bound(([[1, 2, 3, 4]], [[1, 1, 0, 0]]), {})
    assert (ids.dtype, mask.dtype) == (np.int64, np.float32)


@pytest.mark.parametrize(
    ("args", "named", "said"),
    [
        ((IDS,), {}, f"The input 'mask' is missing; {TAKES}"),
        ((IDS, MASK, MASK), {}, f"3 inputs were given; {TAKES}"),
        ((IDS,), {"maks": MASK}, f"'maks' is no input; {TAKES}"),
        ((IDS,), {"ids": IDS}, f"'ids' was given twice; {TAKES}"),
        (
            (IDS, MASK[:, :3]),
            {},
            "The input 'mask' is 1x3 float32, but the model takes 1x4 float32.",
        ),
        ((MASK, MASK), {}, "The input 'ids' is 1x4 float32, but the model takes 1x4 int64."),
        (
            ([[1 << 70] * 4], MASK),
            {},
            f"The input 'ids' cannot be made of {[[1 << 70] * 4]!r:.60}.",
        ),
        ((IDS, "a mask"), {}, "The input 'mask' cannot be made of 'a mask'."),
    ],
)
def test_a_call_that_does_not_fit_gets_a_sentence(
    args: tuple[Any, ...], named: dict[str, Any], said: str
) -> None:
    with pytest.raises(CallError) as error:
        BERT.bound(args, named)
    assert str(error.value) == said


def test_options_are_those_of_the_command() -> None:
    request = request_of({"trials": 5, "warm_start": ["run"], "threads": "all"})
    assert (request.trials, request.warm_start) == (5, ("run",))
    assert request.threads
    assert request_of({"warm_start": "run"}).warm_start == ("run",)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"trails": 5}, "There is no option 'trails'; did you mean 'trials'?"),
        ({"minutes": "5"}, "minutes must be at least 0.1, not '5'."),
        ({"trials": 0}, "trials must be at least 1, not 0."),
        ({"threads": "many"}, "threads must be a number of cores, or all, not 'many'."),
    ],
)
def test_options_that_there_are_not_get_a_sentence(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError) as error:
        request_of(options)
    assert str(error.value) == said
