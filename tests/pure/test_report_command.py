"""The commands of a report are taken by the command line, and say what the run was asked for."""

from dataclasses import asdict, replace
from pathlib import Path

import pytest

from chameleon_ray.options import Request
from chameleon_ray.report.command import going_on, repeating, searched, spent
from chameleon_ray.report.format import clock
from tests.pure.fake_result import fake_result
from tests.pure.test_docs import misfit


def result(**asked: object):
    request = Request(model="net.onnx", **asked)  # type: ignore[arg-type]
    return replace(fake_result(Path("runs/net")), settings=asdict(request))


def test_the_command_has_what_was_asked_for() -> None:
    asked = {"minutes": 4.0, "seed": 3, "inputs": ("x:1x3", "n=2"), "vendor": False, "out": "there"}
    text = repeating(result(**asked, store="/shared"))
    assert text == (
        "chameleon tune net.onnx --input x:1x3 --input n=2 --minutes 4 --seed 3 --no-vendor "
        "--store none"
    )
    assert misfit(text.split()[1:]) == ""


def test_going_on_has_the_directory_and_the_time() -> None:
    text = going_on(result(trials=200, threads=1), 2)
    assert text.startswith("chameleon tune net.onnx --threads 1 --out runs/net --resume --minutes ")
    assert int(text.split()[-1]) >= 2
    assert "--trials" not in text
    assert misfit(text.split()[1:]) == ""


def test_minutes_are_told_as_they_are_limited() -> None:
    records = fake_result(Path("runs/net")).records
    search = searched(records)
    assert search > 0
    told = spent(records, search + 61)
    assert told.startswith(f"It took {clock(search + 61)} min: {clock(search)} of search, and 1:01")
    assert spent(records, search / 2) == f"It took {clock(search / 2)} min."
    assert spent((), 5.0) == "It took 0:05 min."


def test_what_the_shell_would_eat_is_quoted() -> None:
    odd = replace(result(), settings={"model": "my net.onnx"})
    assert repeating(odd) == "chameleon tune 'my net.onnx' --store none"


@pytest.mark.parametrize("settings", [{}, {"minutes": 1.0}])
def test_a_request_that_is_not_known_has_none(settings: dict) -> None:
    assert repeating(replace(result(), settings=settings)) == ""
    assert going_on(replace(result(), settings=settings), 2) == ""
