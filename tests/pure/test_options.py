"""Options: what a field of ``Request`` says of itself is all that commands and files know of it."""

import dataclasses

import typer

from chameleon_ray.api import zoo_file
from chameleon_ray.commands.app import app
from chameleon_ray.options import Request, least_values, options_of, repeated, zoo_file_types
from chameleon_ray.options.option import option
from tests.pure.test_docs import misfit

BY_ITSELF = {"model", "inputs", "examples", "memory_aware", "out", "resume", "warm_start"}
"""What the command that goes on with a run has of its own."""
OF_THE_COMMAND = {"debug", "json", "no_compare", "quiet", "version"}
"""Options that are no fields of a request."""
TIMES_NOTHING = {"build_only"}
"""What makes it a command that leaves no run to go on with."""


def test_what_is_repeated_to_go_on() -> None:
    known = options_of(Request).items()
    assert [name for name, one in known if "tune" in one.resume] == [
        *("target", "trials", "minutes", "until", "preset", "explorer", "sampler"),
        *("cost_model", "template", "seed", "store", "locked", "only", "refresh", "address"),
        *(
            "threads",
            "instances",
            "layout",
            "precision",
            "vendor",
            "compare",
            "engine",
            "tensorboard",
        ),
    ]
    assert [name for name, one in known if "zoo" in one.resume] == [
        *("trials", "minutes", "until", "store", "refresh", "address"),
        *("compare", "engine", "tensorboard"),
    ]


def test_what_a_zoo_s_file_may_set() -> None:
    assert {name: set(types) for name, types in zoo_file.COMMON.items()} == {
        "trials": {int},
        "minutes": {int, float},
        "until": {int, float},
        "preset": {str},
        "explorer": {str},
        "sampler": {str},
        "cost_model": {str},
        "transfer": {bool},
        "seed": {int},
        "threads": {int},
        "instances": {int},
        "layout": {str},
        "precision": {str},
        "memory_aware": {bool},
        "vendor": {bool},
    }
    assert zoo_file.LEAST == {
        **{"trials": 1, "minutes": 0.1, "until": 0.0},
        **{"threads": 1, "instances": 1, "seed": 0},
    }
    assert tuple(zoo_file.BUDGET) == ("trials", "minutes", "until")


def test_no_option_of_tune_is_forgotten_by_the_command_that_goes_on() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    offered = {parameter.name for parameter in commands["tune"].params} - OF_THE_COMMAND
    assert offered <= {field.name for field in dataclasses.fields(Request)}
    on_its_own = {name for name, one in options_of(Request).items() if "tune" in one.resume}
    assert offered == on_its_own | BY_ITSELF | TIMES_NOTHING


def test_only_what_is_not_the_default_is_repeated() -> None:
    request = Request("net", target="cuda", trials=5, memory_aware=True, address="here:1")
    assert repeated(Request("net"), "tune") == []
    assert repeated(Request("net", vendor=False), "tune") == ["--no-vendor"]
    assert repeated(Request("net", compare=()), "tune") == ["--no-compare"]
    assert repeated(Request("net", compare=("openvino",)), "zoo") == ["--compare", "openvino"]
    assert repeated(request, "tune") == ["--target", "cuda", "--trials", "5", "--address", "here:1"]
    assert repeated(request, "zoo") == ["--trials", "5", "--address", "here:1"]


def test_one_line_makes_an_option() -> None:
    @dataclasses.dataclass(frozen=True)
    class Larger(Request):
        cool_seconds: float | None = option(None, resume=("tune",), zoo_file=True, least=0.5)
        keep_all: bool = option(False, resume=("tune", "zoo"))
        among: tuple[str, ...] = option((), resume=("tune",))

    asked = Larger("net", seed=1, cool_seconds=2.5, keep_all=True, among=("a", "b"))
    assert repeated(asked, "tune") == [
        *("--seed", "1", "--cool-seconds", "2.5", "--keep-all", "--among", "a", "--among", "b")
    ]
    assert repeated(asked, "zoo") == ["--keep-all"]
    assert set(zoo_file_types(Larger)["cool_seconds"]) == {int, float}
    assert least_values(Larger)["cool_seconds"] == 0.5


def test_the_command_line_has_the_least_values() -> None:
    for name, least in least_values(Request).items():
        option = f"--{name.replace('_', '-')}"
        assert misfit(["tune", "net", option, str(least)]) == ""
        assert misfit(["tune", "net", option, str(least - 1)]).startswith("BadParameter")
