"""What searched each layer is told as it was, whatever explorer was asked for."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from chameleon_ray.knob import Knob
from chameleon_ray.record import DEFAULT
from chameleon_ray.report.console import final_message
from chameleon_ray.report.layer_result import LayerOutcome
from chameleon_ray.report.summary import summary
from chameleon_ray.search.exhaustive import SCORED_WHOLE
from chameleon_ray.space import DesignSpace
from chameleon_ray.tuner import FIRST_PLANS, NOTHING, STORED, searched_by
from tests.pure.engine_checks import QUICK
from tests.pure.fake_result import record
from tests.pure.test_summary import A, B, result


def test_it_says_what_searched_each_layer() -> None:
    options = replace(QUICK, explorer="ppo", exhaustive=1000, first_plan=2)
    first = [record(A, 1.0, (n, 1), plan=0) for n in range(2)]
    later = [*first, record(A, 1.0, (2, 1), plan=1)]
    small = DesignSpace((Knob.listed("a", list(range(10))), Knob.listed("b", [0, 1])))
    large = DesignSpace((Knob.listed("a", list(range(2000))),))
    assert searched_by(small, later, options) == SCORED_WHOLE
    assert searched_by(large, later, options) == "ppo"
    assert searched_by(large, first, options) == FIRST_PLANS
    assert searched_by(large, [record(A, 1.0, DEFAULT)], options) == NOTHING
    stored = [replace(one, origin="store") for one in later]
    assert searched_by(large, stored, options) == STORED
    assert searched_by(large, [*stored, later[0]], options) != STORED
    assert searched_by(DesignSpace(()), [record(A, 1.0, DEFAULT)], options) == NOTHING


@pytest.mark.parametrize("by", ["ppo", SCORED_WHOLE])
def test_an_explorer_is_named_where_it_ran(by: str) -> None:
    outcomes = (LayerOutcome(A.digest, searched=by), LayerOutcome(B.digest, searched=FIRST_PLANS))
    told = result(outcomes=outcomes, settings={"explorer": "ppo"})
    body = summary(told)
    assert body["explorer"] == ("ppo" if by == "ppo" else None)
    assert [one["searched"] for one in body["tasks"]] == [by, FIRST_PLANS]
    sentence = "The explorer ppo never ran: 1 layer scored whole, as spaces are small, 1 layer"
    screen = Console(file=io.StringIO(), width=1000)
    screen.print(final_message(told))
    assert isinstance(screen.file, io.StringIO)
    assert (sentence in screen.file.getvalue()) == (by != "ppo")
