"""Plug-ins: found by name, imported when asked for, refused in a sentence; and the example ones."""

import importlib
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from chameleon_ray.api.algorithms import EXPLORERS, chosen, explorer_factory
from chameleon_ray.errors import UserError
from chameleon_ray.folder import directory_name
from chameleon_ray.options import Search
from chameleon_ray.plugins import GROUPS, choices, find
from chameleon_ray.pool import Unfit
from chameleon_ray.search.cost_model import CostModel
from chameleon_ray.search.explorer import Explorer
from chameleon_ray.search.sampler import Sampler
from tests.plugin.chameleon_example.climbing import climbing
from tests.plugin.chameleon_example.quadratic import quadratic
from tests.plugin.chameleon_example.roulette import roulette
from tests.pure.conformance import COST_MODEL_CHECKS, EXPLORER_CHECKS, SAMPLER_CHECKS
from tests.pure.landscape import Landscape, convolution, fenced, sketched, tiny

Install = Callable[[str, Mapping[str, str]], None]
Landscapes = pytest.mark.parametrize("landscape", [convolution, sketched, fenced, tiny])
ROOT = Path(__file__).parents[2]
SEARCH = Search()
MODULE = """
import pathlib

pathlib.Path(__file__).with_suffix(".imported").touch()
number = 7


class Searching:
    def __init__(self, search):
        self.name = search.explorer

    def explore(self, space, score, seen, agent, rng): ...


searching = Searching


def nothing(search): ...


def fails(search):
    raise KeyError("luck")
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of installed packages, with modules that work and one that does not."""
    (tmp_path / "works_with_chameleon.py").write_text(MODULE)
    (tmp_path / "breaks_chameleon.py").write_text("raise RuntimeError('no\\nluck')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


@pytest.fixture
def install(site: Path) -> Install:
    """Installs a package as pip does, as far as entry points are concerned."""

    def done(package: str, explorers: Mapping[str, str]) -> None:
        folder = site / f"{package.replace('-', '_')}-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        lines = ["[chameleon_ray.explorers]", *(f"{n} = {value}" for n, value in explorers.items())]
        (folder / "entry_points.txt").write_text("\n".join(lines) + "\n")
        importlib.invalidate_caches()

    return done


def refusal(name: str) -> str:
    """What is said of an explorer that cannot be chosen: one sentence."""
    with pytest.raises(UserError) as error:
        chosen("chameleon", name)
    said = str(error.value)
    assert said.endswith(".")
    assert "\n" not in said
    return said


def test_a_plug_in_is_chosen_by_name(install: Install) -> None:
    install("somebodys-search", {"theirs": "works_with_chameleon:searching"})
    search = chosen("autotvm", "theirs")
    assert search.explorer == "theirs"
    assert explorer_factory(search)().name == "theirs"


def test_names_are_listed_without_an_import(install: Install, site: Path) -> None:
    theirs = "works_with_chameleon:searching"
    install("somebodys-search", {"twice": theirs, "fine": theirs, "random": theirs})
    install("another-search", {"twice": "no_such_module:at_all"})
    assert choices("explorer", EXPLORERS) == (
        "ppo, annealing, random (claimed by chameleon_ray and somebodys-search), fine, "
        "twice (claimed by another-search and somebodys-search)"
    )
    assert "choose one of: ppo, annealing, random (" in refusal("psychic")
    assert find("explorer", "psychic", EXPLORERS) is None
    assert not (site / "works_with_chameleon.imported").exists()


def test_a_name_claimed_twice_is_refused(install: Install, site: Path) -> None:
    install("somebodys-search", {"twice": "works_with_chameleon:searching"})
    install("another-search", {"twice": "works_with_chameleon:searching"})
    assert refusal("twice") == (
        "The explorer 'twice' is claimed by several packages, another-search and "
        "somebodys-search; uninstall all but one of them."
    )
    assert not (site / "works_with_chameleon.imported").exists()


def test_a_name_of_our_own_is_refused_where_it_is_asked_for(install: Install) -> None:
    install("somebodys-search", {"annealing": "works_with_chameleon:searching"})
    assert refusal("annealing") == (
        "The explorer 'annealing' is chameleon_ray's own, and somebodys-search claims the name, "
        "too; uninstall somebodys-search, or give its explorer another name."
    )
    assert chosen("autotvm").explorer == "annealing"
    assert chosen("chameleon", "random").explorer == "random"


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("breaks_chameleon:searching", "cannot be imported: RuntimeError: no luck"),
        ("no_such_module:searching", "cannot be imported: ModuleNotFoundError: No module named"),
        ("works_with_chameleon:gone", "cannot be imported: AttributeError: module"),
        ("works_with_chameleon:number", "is of type int, which cannot be called"),
        ("works_with_chameleon", "is of type module, which cannot be called"),
    ],
)
def test_a_plug_in_that_is_none_is_refused(install: Install, value: str, why: str) -> None:
    install("somebodys-search", {"theirs": value, "fine": "works_with_chameleon:searching"})
    said = refusal("theirs")
    assert f"The explorer 'theirs' of the package somebodys-search ({value}) {why}" in said
    assert said.endswith("; repair or uninstall somebodys-search.")
    assert chosen("chameleon", "fine").explorer == "fine"


@pytest.mark.parametrize(
    ("name", "why"), [("fails", "cannot make"), ("nothing", "no method explore")]
)
def test_what_a_plug_in_makes_must_be_of_use(install: Install, name: str, why: str) -> None:
    install("somebodys-search", {"theirs": f"works_with_chameleon:{name}"})
    search = chosen("autotvm", "theirs")
    with pytest.raises(Unfit, match=why):
        explorer_factory(search)()


def test_a_run_of_a_file_is_named_after_it(tmp_path: Path) -> None:
    (tmp_path / "net.toy").touch()
    assert directory_name(str(tmp_path / "net.toy")) == "net"
    assert directory_name("nets.toy:make") == "nets.toy-make"


def test_presets_do_not_look_at_what_is_installed() -> None:
    program = (
        "import importlib.metadata as m\n"
        "from chameleon_ray.api import algorithms\n"
        "def scan(**_): raise SystemExit('looked')\n"
        "m.entry_points = algorithms.find.__globals__['entry_points'] = scan\n"
        "search = algorithms.chosen('alt')\n"
        "algorithms.searcher_factory(search)()\n"
        "algorithms.chosen('alt', sampler='greedy')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stderr.strip() == "looked"  # at last, where one is asked for by name
    assert done.returncode == 1


@pytest.mark.parametrize("check", EXPLORER_CHECKS)
@Landscapes
def test_explorer_of_the_example(
    landscape: Callable[[], Landscape], check: Callable[[Explorer, Landscape, int], None]
) -> None:
    check(climbing(SEARCH), landscape(), SEARCH.sampling.candidates)


@pytest.mark.parametrize("check", SAMPLER_CHECKS)
@Landscapes
def test_sampler_of_the_example(
    landscape: Callable[[], Landscape], check: Callable[[Sampler, Landscape], None]
) -> None:
    check(roulette(SEARCH), landscape())


@pytest.mark.parametrize("check", COST_MODEL_CHECKS)
@Landscapes
def test_cost_model_of_the_example(
    landscape: Callable[[], Landscape], check: Callable[[CostModel, Landscape], None]
) -> None:
    check(quadratic(SEARCH), landscape())


def test_the_document_shows_the_example() -> None:
    text = (ROOT / "docs" / "extending" / "plugins.md").read_text()
    for file in ("pyproject.toml", "chameleon_example/roulette.py"):
        assert (ROOT / "tests" / "plugin" / file).read_text() in text
    groups = {f"`chameleon_ray.{group}`" for group in GROUPS.values()}
    assert groups <= set(re.findall(r"^\| (`[\w.]+`) \|", text, re.MULTILINE))
