"""What is said where the time was up before anything was measured."""

from pathlib import Path

import pytest

from chameleon_ray.api.session_model import demand_success
from chameleon_ray.errors import UserError
from tests.pure import toys


def test_it_says_where_the_time_went_and_what_there_is(tmp_path: Path) -> None:
    task, untuned = toys.task("tiny-a"), tmp_path / "untuned.so"
    with pytest.raises(UserError) as found:
        demand_success([task], {task.digest: []}, "as importing took 2:29 of 2:30", untuned)
    assert str(found.value) == (
        "Nothing was measured in the time given, as importing took 2:29 of 2:30; "
        "give more --minutes or --trials."
    )
    untuned.touch()
    with pytest.raises(UserError, match=rf"The model without tuning is there: {untuned}\.$"):
        demand_success([task], {task.digest: []}, "", untuned)
