"""How far a run was disturbed, for programs and for people."""

from dataclasses import replace
from pathlib import Path

import pytest

from chameleon_ray.report.disturbance import Disturbance, disturbance_of
from chameleon_ray.report.summary import summary
from tests.pure.fake_result import fake_result


def test_a_disturbed_run_says_so():
    result = fake_result(Path("run"))
    calm = disturbance_of(result)
    assert (calm.timings, calm.winners, calm.sentence) == (0, 0, "")
    loaded = tuple(replace(r, conditions='{"disturbed": 0.4}') for r in result.records)
    winners = tuple(replace(o, disturbed=0.5) for o in result.outcomes[:2])
    busy = replace(result, records=loaded, outcomes=(*winners, *result.outcomes[2:]))
    found = summary(busy)["disturbed"]
    good = sum(bool(r.latencies) for r in loaded)
    assert found == {"timings": good, "all": good, "share": pytest.approx(0.4), "winners": 2}
    assert disturbance_of(busy).sentence.startswith(
        "Disturbed: other processes had the timing cores for 40% of the time while "
        f"{good} of {good} configurations were measured, and while 2 winners of layers"
    )
    hardly = tuple(replace(r, conditions='{"disturbed": 0.04}') for r in result.records)
    assert disturbance_of(replace(result, records=hardly)) == calm
    few = replace(result, outcomes=(replace(result.outcomes[0], disturbed=0.04),))
    assert disturbance_of(few).sentence == ""


def test_only_what_was_disturbed_is_told():
    shares = ((5, 10, 0.3, 0), (0, 10, 0.3, 2), (1, 1, 0.3, 1))
    told = [Disturbance(*one).sentence for one in shares]
    assert "while 5 of 10 configurations were measured; tune" in told[0]
    assert "while 2 winners of layers were confirmed; tune" in told[1]
    assert "1 of 1 configuration was measured, and while 1 winner of layers was" in told[2]
