"""What each part brought: gains are booked to what chose the configuration, and add up."""

from dataclasses import replace
from pathlib import Path

import pytest

from chameleon_ray.record import DEFAULT
from chameleon_ray.report.layer_result import LayerOutcome
from chameleon_ray.report.parts import counts, parts_of
from tests.pure.fake_result import fake_result, record, task

A, B = task("a", weight=2), task("b")


def test_gains_are_booked_to_what_chose_the_configuration() -> None:
    other = replace(B, digest="f" * 16, instead=B.digest)
    records = (
        record(A, 10.0, DEFAULT, chosen_by="default schedule"),
        record(B, 8.0, DEFAULT, chosen_by="default schedule"),
        record(A, 4.0, (1, 1), chosen_by="random"),
        record(A, 5.0, (1, 2), chosen_by="ppo"),
        record(A, None, (1, 3), chosen_by="ppo"),
        record(other, 7.0, (1, 1), chosen_by="synthesised"),
        record(A, 3.0, (2, 1), chosen_by="ppo"),
        record(A, 2.5, (2, 2), origin="store"),
        record(A, 2.0, (2, 3)),
    )
    outcomes = (LayerOutcome(A.digest, (2, 1), 10e-3, 3e-3), LayerOutcome(other.digest, (1, 1)))
    result = replace(
        fake_result(Path("run")), tasks=(A, B, other), records=records, outcomes=outcomes
    )
    found = parts_of(result)
    assert found.start == pytest.approx(28e-3)
    table = {one.name: one for one in found.parts}
    gained = {name: round(1e3 * one.gained, 6) for name, one in table.items()}
    assert gained == {
        "default schedule": 0.0,
        "store": 1.0,
        "random": 12.0,
        "ppo": 2.0,
        "synthesised": 1.0,
        "not recorded": 1.0,
    }
    assert list(table) == [*gained], "in the order in which they come into play"
    assert (table["ppo"].measurements, table["ppo"].failed, table["ppo"].winners) == (3, 1, 1)
    assert (table["store"].measurements, table["synthesised"].winners) == (0, 1)
    assert counts(records)["ppo"] == 3
