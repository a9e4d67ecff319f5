"""The example plug-in, installed by pip and used by the command; and plug-ins that are refused."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.whole.command import ROOT, chameleon, records

PARTS = ("--explorer", "climbing", "--sampler", "roulette", "--cost-model", "quadratic")
NAMES = {"explorer": "climbing", "sampler": "roulette", "cost_model": "quadratic"}
WALKING = ("--preset", "penalty9")
"""A preset that walks every space; most have small ones scored whole, and need no explorer then."""
TABLE = str(ROOT / "tests" / "data" / "resnet-9.parquet")
BROKEN = """
[chameleon_ray.explorers]
broken = broken_search:climbing
mute = mute_search:mute
[chameleon_ray.formats]
broken = broken_search:load
[chameleon_ray.templates]
broken = broken_search:tiles
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the example is installed, by what a user does, but for the network."""
    folder = tmp_path_factory.mktemp("plugin")
    shutil.copytree(ROOT / "tests" / "plugin", folder / "source")
    offline = ("--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check")
    install = ("pip", "install", *offline, "--target", str(folder / "site"), str(folder / "source"))
    done = subprocess.run([sys.executable, "-m", *install], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "site"


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One layer in the example's format."""
    weights = np.random.default_rng(0).standard_normal((64, 192)).round(3)
    path = tmp_path_factory.mktemp("net") / "net.toy"
    path.write_text(json.dumps({"rows": 48, "weights": [weights.tolist()]}))
    return path


def ran(*arguments: str, site: Path) -> tuple[int, str, str]:
    """Exit status, stdout, and what stderr says besides progress, with ``site``'s plug-ins."""
    return chameleon(*arguments, environment={"PYTHONPATH": str(site)})


def refusal(*arguments: str, site: Path) -> str:
    """What is said of a request that is turned down: one sentence."""
    code, out, err = ran(*arguments, site=site)
    assert (code, out) == (1, ""), err
    (said,) = err.splitlines()
    return said


def test_replay_searches_with_plug_ins(site: Path, tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    words = ("--measurements", "32", "--seeds", "1", "--figures", str(figures))
    code, out, err = ran("replay", TABLE, *WALKING, *PARTS, *words, site=site)
    assert code == 0, err
    assert "climbing, roulette" in out
    assert json.loads(figures.read_text())["explorer"] == "climbing"


def searched(site: Path, net: Path, run: Path, *options: str) -> None:
    """Tunes with all of the example's parts, and checks that they were used."""
    words = (*PARTS, "--trials", "24", "--out", str(run), *options)
    code, out, err = ran("tune", str(net), *WALKING, *words, site=site)
    assert (code, err) == (0, "")
    assert "Verified: same outputs as NumPy" in out
    identity = json.loads((run / "run.json").read_text())
    assert identity["model"] == "net"
    assert {part: identity["options"]["search"][part] for part in NAMES} == NAMES
    assert len(records(run)) == 24  # more than are drawn at random, so that it was searched
    assert list((run / "agents" / "climbing").glob("*.npz"))


def test_plug_ins_search_on_ray(site: Path, net: Path, tmp_path: Path) -> None:
    searched(site, net, tmp_path / "run", "--engine", "ray")


def test_plug_ins_search_without_ray_and_make_the_space(
    site: Path, net: Path, tmp_path: Path
) -> None:
    run, serial = tmp_path / "run", ("--engine", "serial")
    searched(site, net, run, *serial, "--template", "tiles")
    tilings = [json.loads(record.values) for record in records(run)[1:]]
    assert all(
        (outer * inner, far * near) == (48, 192)
        for (outer, inner), (far, near) in map(dict.values, tilings)
    )
    code, out, err = ran("apply", str(run), str(net), site=site)
    assert code == 0, err
    assert "1 of 1 layers tuned, verified" in out
    words = (*WALKING, *PARTS, *serial, "--out", str(run), "--resume")
    said = refusal("tune", str(net), *words, site=site)  # --template was left out
    assert "other layers, or of others' design spaces" in said


@pytest.fixture(scope="module")
def crowded(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example again under another name, and a package that cannot be imported."""
    folder = tmp_path_factory.mktemp("crowded") / "site"
    shutil.copytree(site, folder)
    (example,) = folder.glob("*.dist-info")
    other = folder / "copycat-1.0.dist-info"
    shutil.copytree(example, other)
    text = (other / "METADATA").read_text()
    (other / "METADATA").write_text(text.replace("Name: chameleon-example", "Name: copycat"))
    broken = folder / "broken_search-1.0.dist-info"
    broken.mkdir()
    (broken / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-search\nVersion: 1.0\n")
    (broken / "entry_points.txt").write_text(BROKEN)
    (folder / "broken_search.py").write_text("import no_such_module\n")
    (folder / "mute_search.py").write_text("def mute(search):\n    return search\n")
    return folder


TWICE = "is claimed by several packages, chameleon-example and copycat; uninstall"
IMPORT = "ModuleNotFoundError: No module named 'no_such_module'"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("tune", "net.toy", "--explorer", "climbing"), ("explorer 'climbing'", TWICE)),
        (("tune", "net.toy", "--explorer", "broken"), ("broken-search", IMPORT)),
        (("tune", "net.toy", "--cost-model", "psychic"), ("cost model 'psychic'", "quadratic")),
        (("replay", TABLE, "--cost-model", "quadratic"), ("cost model 'quadratic'", TWICE)),
        (("replay", TABLE, *WALKING, "--explorer", "mute"), ("'mute'", "no method explore")),
        (("tune", "net.toy", "--template", "tiles"), ("template 'tiles'", TWICE)),
        (("tune", "net.toy", "--template", "rows"), ("no template 'rows'", "tiles (claimed by")),
        (("zoo", "zoo.yaml"), ("sampler 'roulette'", TWICE)),
        (("zoo", "zoo.yaml", "--layers"), ("sampler 'roulette'", TWICE)),
        (("memory", "net.toy"), ("format 'toy'", TWICE)),
        (("memory", "net.broken"), ("format 'broken'", "broken-search", IMPORT)),
        (("memory", "net"), ("no model 'net'", "onnx, pt2, broken, toy (claimed by")),
    ],
)
def test_what_cannot_be_plugged_in(
    crowded: Path,
    net: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    words: tuple[str, ...],
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("net.toy", "net.broken"):
        shutil.copy(net, tmp_path / name)
    (tmp_path / "zoo.yaml").write_text("models: [resnet-18]\nsampler: roulette\n")
    said = refusal(*arguments, site=crowded)
    assert all(word in said for word in words), said
    assert not list(tmp_path.glob("runs/*"))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (None, "net.toy does not exist"),
        ("{}", "The plug-in for .toy files failed on net.toy (KeyError: 'weights')"),
        ('{"rows": 1, "weights": []}', "net.toy has no layers"),
    ],
)
def test_a_file_that_a_plug_in_cannot_read(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str | None, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    if body is not None:
        (tmp_path / "net.toy").write_text(body)
    assert words in refusal("memory", "net.toy", site=site)
