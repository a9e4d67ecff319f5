"""Zoos: what their files may say, what merging comes to, and what is reported of it."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chameleon_ray.api.algorithms import search_of
from chameleon_ray.api.zoo_file import read_zoo
from chameleon_ray.compiler.frontend.zoo import NAMES
from chameleon_ray.errors import UserError
from chameleon_ray.folder import SAME, RunFolder, ZooFolder
from chameleon_ray.measure.cores import available
from chameleon_ray.merging import merged
from chameleon_ray.options import Request
from chameleon_ray.record import DEFAULT
from chameleon_ray.report.result import Latency, Verified
from chameleon_ray.report.zoo import ZooEntry, ZooResult
from chameleon_ray.report.zoo_page import render
from chameleon_ray.report.zoo_summary import figures
from chameleon_ray.run_files import FolderError
from chameleon_ray.task import Constants
from tests.pure.fake_result import fake_result, record, task

ROOT = Path(__file__).parents[2]
FILE = """
models:
  - resnet-18
  - model: nets/detector.onnx
    weight: 2.5
    inputs: ["data:1x3x224x224"]
trials: 400
preset: autotvm
seed: 3
memory_aware: true
"""


def zoo_of(folder: Path, text: str, request: Request | None = None):
    file = folder / "zoo.yaml"
    file.write_text(text)
    return read_zoo(file, request or Request(""))


def test_a_file_is_read(tmp_path: Path) -> None:
    zoo = zoo_of(tmp_path, FILE)
    assert (zoo.file, zoo.common.model) == (tmp_path / "zoo.yaml", "")
    assert (zoo.common.trials, zoo.common.minutes, zoo.common.seed) == (400, None, 3)
    first, second = zoo.members
    assert (first.name, first.weight, first.request.model) == ("resnet-18", 1, "resnet-18")
    assert (second.name, second.weight) == ("detector", 2.5)
    assert second.request.inputs == ("data:1x3x224x224",)
    for member in zoo.members:
        assert replace(member.request, model="", inputs=()) == zoo.common


def test_a_file_may_ask_for_all_cores_another_precision_and_no_vendor(tmp_path: Path) -> None:
    asked = "threads: all\nprecision: bfloat16\nvendor: false"
    zoo = zoo_of(tmp_path, f"models: [a]\n{asked}")
    for request in (zoo.common, zoo.members[0].request):
        assert request.threads == len(available())
        assert (request.precision, request.vendor) == ("bfloat16", False)


def test_the_command_line_s_budget_goes_before_the_file_s(tmp_path: Path) -> None:
    zoo = zoo_of(tmp_path, FILE, Request("", minutes=5.0))
    assert (zoo.common.trials, zoo.common.minutes) == (None, 5.0)
    assert all(member.request.minutes == 5.0 for member in zoo.members)


def test_every_model_is_tuned_on_every_target(tmp_path: Path) -> None:
    zoo = zoo_of(tmp_path, 'models: [a, b]\ntargets: {new: llvm, old: \'{"kind": "llvm"}\'}')
    assert [(m.name, m.request.target) for m in zoo.members] == [
        ("a-new", "llvm"),
        ("b-new", "llvm"),
        ("a-old", '{"kind": "llvm"}'),
        ("b-old", '{"kind": "llvm"}'),
    ]
    zoo = zoo_of(tmp_path, "models: [a]\ntargets: {ampere: 'cuda:sm_80', hopper: 'cuda:sm_90'}")
    assert [member.name for member in zoo.members] == ["a-ampere", "a-hopper"]
    assert zoo.common.target == "cuda:sm_80"
    zoo = zoo_of(tmp_path, "models: [a]\ntargets: ['cuda:sm_90']")
    assert [(m.name, m.request.target) for m in zoo.members] == [("a", "cuda:sm_90")]
    assert zoo.common.target == "cuda:sm_90"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("models: [", ("not YAML", "line")),
        ("models:\n\t- a", ("not YAML", "line 2")),
        ("", ("must be a mapping",)),
        ("- resnet-18", ("must be a mapping",)),
        ("trials: 3", ("'models' must be a list",)),
        ("models: []", ("'models' must be a list",)),
        ("models: resnet-18", ("'models' must be a list",)),
        ("models: [7]", ("a model must be a mapping",)),
        ("models: [a]\nmodules: 3", ("no 'modules'", "there are", "models")),
        ("models: [{model: a, colour: red}]", ("no 'colour'", "weight")),
        ("models: [{name: a}]", ("lacks 'model'",)),
        ("models: [{model: 7}]", ("'model' cannot be 7",)),
        ("models: [{model: a, weight: 0}]", ("weight of a", "more than 0")),
        ("models: [{model: a, weight: -1}]", ("weight of a", "more than 0")),
        ("models: [{model: a, weight: .nan}]", ("weight of a", "more than 0")),
        ("models: [{model: a, weight: heavy}]", ("'weight' cannot be 'heavy'",)),
        ("models: [{model: a, inputs: [7]}]", ("inputs of a", "NAME:SHAPE")),
        ("models: [{model: a, inputs: x:3}]", ("'inputs' cannot be",)),
        ("models: [{model: a, name: ../b}]", ("'../b' is no name",)),
        ("models: [{model: a, name: ''}, a]", ("2 models are named 'a'",)),
        ("models: [a, a]", ("2 models are named 'a'", "'name'")),
        ("models: [a]\ntrials: many", ("'trials' cannot be 'many'",)),
        ("models: [a]\nthreads: most", ("'threads' cannot be 'most'",)),
        ("models: [a]\ntrials: 0", ("'trials' must be 1 at least",)),
        ("models: [a]\ntrials: true", ("'trials' cannot be True",)),
        ("models: [a]\nminutes: 0", ("'minutes' must be 0.1 at least",)),
        ("models: [a]\nmemory_aware: 1", ("'memory_aware' cannot be 1",)),
        ("models: [a]\ntargets: llvm", ("'targets' must be a list",)),
        ("models: [a]\ntargets: []", ("'targets' must hold",)),
        ("models: [a]\ntargets: [{kind: llvm}]", ("'targets' must hold",)),
        ("models: [a]\ntargets: [llvm, llvm]", ("two of one kind", "mapping")),
        ("models: [a]\ntargets: [llvm, 'cuda:sm_90']", ("CPUs and GPUs", "a zoo of its own")),
        ("models: !!python/object/apply:os.getcwd []", ("not YAML",)),
    ],
)
def test_a_mistake_in_a_file_is_a_sentence(
    tmp_path: Path, text: str, words: tuple[str, ...]
) -> None:
    with pytest.raises(UserError) as caught:
        zoo_of(tmp_path, text)
    said = str(caught.value)
    assert said.startswith(f"{tmp_path / 'zoo.yaml'}: ")
    assert said.endswith(".")
    assert "\n" not in said
    assert all(word in said for word in words), said


def test_a_file_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    for name, words in (("missing", "No such file"), (".", "directory"), ("binary", "not a text")):
        with pytest.raises(UserError, match=words):
            read_zoo(tmp_path / name, Request(""))


def test_transfer_can_be_turned_off(tmp_path: Path) -> None:
    zoo = zoo_of(tmp_path, "models: [a]\ntransfer: false")
    assert search_of(zoo.common).transfer is None
    assert search_of(zoo_of(tmp_path, "models: [a]").common).transfer is not None


def test_a_shared_layer_is_timed_as_in_the_model_with_most_weights() -> None:
    small, large = (replace(task("conv"), constants=Constants((1,), size)) for size in (7, 9))
    for models in ([small, large], [large, small]):
        (found,) = merged([(1, [one]) for one in models]).tasks
        assert found.constants == Constants((1,), 9)


def test_equal_layers_are_merged() -> None:
    conv, pool, dense = task("conv", 3), task("pool"), task("dense", 2)
    found = merged([(1, [conv, pool]), (2.5, [replace(conv, weight=4), dense])])
    assert [(one.name, one.weight) for one in found.tasks] == [
        ("conv", 3 + 2.5 * 4),
        ("dense", 5.0),
        ("pool", 1),
    ]
    assert found.before == 4
    assert found.users == {conv.digest: 2, pool.digest: 1, dense.digest: 1}
    assert found.shared([conv.digest, pool.digest]) == 1
    assert found.saved([conv.digest, conv.digest, dense.digest, "another"]) == 2


def test_models_take_turns_as_often_as_they_are_important() -> None:
    small, large = ([task(f"{model}_{n}") for n in range(6)] for model in ("small", "large"))
    names = [one.name for one in merged([(1, small), (3, large)]).tasks]
    assert names[:4] == ["large_0", "large_1", "small_0", "large_2"]
    assert names[-3:] == ["small_3", "small_4", "small_5"]


def test_one_model_is_left_as_it_is() -> None:
    tasks = [task("conv", 3), task("pool")]
    found = merged([(1, tasks)])
    assert [(one.digest, one.weight) for one in found.tasks] == [
        (t.digest, t.weight) for t in tasks
    ]
    assert (found.before, found.saved([tasks[0].digest])) == (2, 0)


def result_of(folder: Path, name: str = "zoo.yaml") -> ZooResult:
    """Two models with a layer in common, and one that failed."""
    shared, similar, alone = task("conv2d_1", 2), task("conv2d_2"), task("pool")
    layers = merged([(1, [shared, alone]), (3, [shared, similar])])
    whole = fake_result(folder)
    good = replace(whole, untuned=Latency(8e-3), tuned=Latency(2e-3))
    verified = Verified(False, 1.0, 1.0, "torch", fault="output 'y' differs by 1")
    wrong = replace(good, tuned=Latency(1e-3), verified=verified)
    entries = (
        ZooEntry("a", Request("a"), 1, folder / "models" / "a", 2, 1, good),
        ZooEntry("b", Request("b"), 3, folder / "models" / "b", 2, 1, wrong),
        ZooEntry(name, Request(name), 1, folder / "models" / "c", failure=f"There is no {name}."),
    )
    made = [
        record(shared, 4.0, DEFAULT),
        record(alone, 1.0, DEFAULT),
        record(shared, 2.0, (0, 1)),
        record(similar, None, (0, 1)),
        record(similar, 5.0, (0, 2)),
        record(shared, 1.0, (0, 2)),
    ]
    records = tuple(replace(r, sequence=n, finished=n + 1.0) for n, r in enumerate(made))
    return ZooResult(Path(name), Request(""), folder, entries, layers, records, "Toy", 90.0, 0.5)


def test_the_figures_are_right(tmp_path: Path) -> None:
    body = figures(result_of(tmp_path))
    json.dumps(body, allow_nan=False)
    assert body["tasks"] == {"before_merging": 4, "after_merging": 3, "taught": 1}
    assert body["measurements"]["total"] == 6
    assert body["measurements"]["saved_by_merging"] == 3
    assert (body["measurements"]["ok"], body["measurements"]["crash"]) == (5, 1)
    assert body["weighted_ms"] == pytest.approx({"untuned": 32.0, "tuned": 5.0})
    assert body["speedup"] == pytest.approx(32.0**0.5)
    assert body["curve"] == [[5, 5.0, 8 * 2.0 + 3 * 5.0 + 1.0], [6, 6.0, 8 * 1.0 + 3 * 5.0 + 1.0]]
    good, wrong, failed = body["models"]
    assert (good["tasks"], good["shared_tasks"], good["error"]) == (2, 1, None)
    assert good["verified"]["ok"] is True
    assert wrong["verified"]["ok"] is False
    assert "differ from those of torch (output 'y' differs by 1); do not use" in wrong["error"]
    assert failed["error"] == "There is no zoo.yaml."
    assert failed["latency_ms"] == {"untuned": None, "tuned": None}


def test_where_nothing_is_shared_or_taught_nothing_is_claimed(tmp_path: Path) -> None:
    result = result_of(tmp_path)
    assert replace(result, common=replace(result.common, transfer=False)).taught == 0
    assert replace(result, common=replace(result.common, preset="autotvm")).taught == 0
    one = task("conv2d_1")
    alone = replace(result, merged=merged([(1, [one])]), records=(record(one, 1.0),))
    assert (alone.taught, alone.saved) == (0, 0)
    assert replace(alone, records=(record(one, None),)).curve == []
    assert "None." in render(alone)


def test_a_directory_holds_a_run_or_a_zoo(tmp_path: Path) -> None:
    identity = {"device": "cpu", "layout": "NHWC"}
    zoo = ZooFolder(tmp_path / "zoo", existing=False)
    assert zoo.device == ""
    zoo.identify(identity)
    assert zoo.device == "cpu"
    zoo.close()
    with pytest.raises(FolderError, match="holds a zoo; add --resume"):
        ZooFolder(tmp_path / "zoo", existing=False)
    with pytest.raises(FolderError, match="holds no run, but a zoo"):
        RunFolder(tmp_path / "zoo", existing=True)
    zoo = ZooFolder(tmp_path / "zoo", existing=True)
    zoo.identify(identity)
    with pytest.raises(FolderError, match=r"a zoo of another device \(cpu, now gpu\)"):
        zoo.identify(identity | {"device": "gpu"})
    zoo.close()


def test_a_run_that_an_earlier_version_began_is_of_float32(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run", existing=False)
    identity: dict[str, Any] = dict.fromkeys(SAME, "") | {"precision": "float32", "spaces": {}}
    folder.identify({key: value for key, value in identity.items() if key != "precision"})
    folder.identify(identity)
    with pytest.raises(FolderError, match=r"a run of another precision \(float32, now tf32\)"):
        folder.identify(identity | {"precision": "tf32"})
    folder.close()


def test_a_zoo_that_never_began_leaves_nothing(tmp_path: Path) -> None:
    zoo = ZooFolder(tmp_path / "zoo", existing=False)
    model = RunFolder(zoo.model("a"), existing=False)
    model.close()
    zoo.close()
    assert list(tmp_path.iterdir()) == []


def test_the_figures_are_described(tmp_path: Path) -> None:
    described = ROOT / "docs" / "reference" / "run-directory.md"
    section = described.read_text().partition("## A zoo's")[2]
    body = figures(result_of(tmp_path))
    inner = [*body["models"][0], *body["tasks"], *body["weighted_ms"]]
    for key in [*body, *inner, "saved_by_merging"]:
        assert f"`{key}`" in section, key


def test_the_documents_files_are_zoos(tmp_path: Path) -> None:
    guide = (ROOT / "docs" / "guides" / "zoo.md").read_text()
    shown = guide.partition("```yaml\n")[2].partition("```")[0]
    zoo = zoo_of(tmp_path, shown)
    assert [member.name for member in zoo.members] == ["resnet-18", "detector"]
    assert (zoo.members[1].weight, zoo.common.trials) == (2, 4000)
    known = read_zoo(ROOT / "docs" / "guides" / "zoo.yaml", Request(""))
    assert {member.request.model for member in known.members} <= set(NAMES)
