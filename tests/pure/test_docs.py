"""What the documents say is so: links, commands, names of files, fields and options."""

import ast
import dataclasses
import importlib.util
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import typer
import yaml

import chameleon_ray
from chameleon_ray import options
from chameleon_ray.commands.app import app
from chameleon_ray.database import SCHEMA as COLUMNS
from chameleon_ray.folder import SAME, RunFolder
from chameleon_ray.presets import PRESETS
from chameleon_ray.record import Record, Status
from chameleon_ray.report.result import PHASES, Launching
from chameleon_ray.report.summary import summary
from tests.code_blocks import DOCUMENTS, ROOT, blocks
from tests.pure.fake_result import fake_result

README = (ROOT / "README.md").read_text()
TUNING = (ROOT / "docs" / "guides" / "tuning.md").read_text()
RUN_DIRECTORY = (ROOT / "docs" / "reference" / "run-directory.md").read_text()

READERS = {block.title for path in DOCUMENTS for block in blocks(path.read_text())}
"""Files that a reader of the documents writes."""

every_document = pytest.mark.parametrize(
    "path", DOCUMENTS, ids=[str(path.relative_to(ROOT)) for path in DOCUMENTS]
)


def broken_links(text: str, folder: Path) -> list[str]:
    """Relative targets of Markdown links that do not exist."""
    targets = [target.partition("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", text)]
    local = [target for target in targets if target and not re.match(r"[a-z]+:", target)]
    return [target for target in local if not (folder / target).exists()]


def code(text: str) -> Iterator[str]:
    """Lines of fenced blocks, and spans of code outside them."""
    fence = re.compile(r"^ *```[a-z].*?\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
    for block in fence.findall(text):
        yield from block.splitlines()
    yield from re.findall(r"`([^`\n]+)`", fence.sub("", text))


def commands(text: str) -> list[list[str]]:
    """The arguments of every ``chameleon`` command in a document's code."""
    found = [match for line in code(text) for match in re.findall(r"\bchameleon( [^&|'#]+)", line)]
    return [match.split() for match in found]


def misfit(arguments: list[str]) -> str:
    """Why the command line does not take these arguments; empty where it does."""
    group = typer.main.get_command(app)
    name, *rest = arguments
    if name in {"-h", "--help"} | {one for option in group.params for one in option.opts}:
        return ""
    known = group.commands  # type: ignore[attr-defined]
    if name not in known:
        return f"no command {name!r}"
    try:
        known[name].make_context(name, rest)
    except Exception as error:
        return "" if getattr(error, "exit_code", 1) == 0 else f"{type(error).__name__}: {error}"
    return ""


def rows(text: str, title: str) -> list[str]:
    """First cells, without backticks, of the table whose first title this is."""
    table = re.search(rf"^\| {re.escape(title)} \|.*\n\|[-| ]+\n((?:\|.*\n)+)", text, re.MULTILINE)
    assert table, f"no table headed {title!r}"
    return [row.split("|")[1].strip().strip("`") for row in table[1].splitlines()]


def wrong_options(text: str) -> list[str]:
    """``Class.field`` in code, where the class is one of the options and has no such field."""
    pairs = re.findall(r"\b([A-Z]\w+)\.(\w+)", "\n".join(code(text)))
    found = [(getattr(options, name, None), field) for name, field in pairs]
    return [
        f"{kind.__name__}.{field}"
        for kind, field in found
        if isinstance(kind, type) and dataclasses.is_dataclass(kind) and not hasattr(kind, field)
    ]


def missing_modules(text: str) -> list[str]:
    """Python files named in code that neither the package, the repository nor a reader has."""
    paths = re.findall(r"[\w/]+\.py\b", "\n".join(code(text)))
    homes = (ROOT, ROOT / "chameleon_ray", ROOT / "chameleon_ray" / "deployment" / "files")
    named = [path for path in paths if path not in READERS]
    return [path for path in named if not any((home / path).exists() for home in homes)]


def written(folder: Path) -> set[str]:
    """Names in a run directory once everything has been written that ``RunFolder`` writes."""
    run = RunFolder(folder, existing=False)
    run.resume(dict.fromkeys(SAME, ""))
    run.database.append([Record("task", "llvm", "cpu", (), "{}", Status.INVALID)])
    run.agents.save("ppo", "task", {"weights": np.zeros(1)})
    run.save_winners({})
    run.close()
    others = (run.log, run.library, run.untuned_library, run.tvm_database, run.summary, run.lock)
    return {path.name for path in (*folder.iterdir(), *others, run.report)}


def choices(table: str) -> set[str]:
    """The names in one of the tables of ``api/algorithms.py``, read without importing Ray."""
    tree = ast.parse((ROOT / "chameleon_ray" / "api" / "algorithms.py").read_text())
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == table:
            assert isinstance(node.value, ast.Dict)
            return {ast.literal_eval(key) for key in node.value.keys if key is not None}
    raise AssertionError(f"no table {table}")


def clusters(search: options.Search) -> str:
    clustered = search.sampler in ("adaptive", "release")
    counts = ", ".join(map(str, search.sampling.clusters)) or "the plan's"
    return counts if clustered else "-"


def smaller(search: options.Search) -> str:
    return str(search.small_plan) if search.exhaustive else "-"


def steps(search: options.Search) -> str:
    return str(search.ppo.steps) if search.explorer == "ppo" else "-"


@every_document
def test_links_lead_somewhere(path: Path) -> None:
    assert broken_links(path.read_text(), path.parent) == []


@every_document
def test_commands_are_understood(path: Path) -> None:
    assert [reason for words in commands(path.read_text()) if (reason := misfit(words))] == []


@every_document
def test_options_and_modules_exist(path: Path) -> None:
    assert wrong_options(path.read_text()) + missing_modules(path.read_text()) == []


def test_readme_has_the_two_commands() -> None:
    lines = list(code(README))
    assert "pip install . && chameleon tune resnet-18" in lines
    assert "pip install '.[test]' && pytest" in lines


def test_run_directory_is_what_is_written(tmp_path: Path) -> None:
    files = written(tmp_path / "run")
    drawn = re.findall(r"^  ([\w.]+)/? ", RUN_DIRECTORY.partition("## ")[0], re.MULTILINE)
    assert set(drawn) == files


def test_records_are_described() -> None:
    assert rows(RUN_DIRECTORY, "column") == COLUMNS.names
    assert rows(RUN_DIRECTORY, "status") == [status.value for status in Status]


def test_summary_is_described(tmp_path: Path) -> None:
    launched = replace(fake_result(tmp_path), launching=Launching(graphs=True))
    fields = summary(launched)
    assert rows(RUN_DIRECTORY, "field") == list(fields)
    section = RUN_DIRECTORY.partition("## summary.json")[2]
    inner = [name for key in ("latency_ms", "verified", "launching") for name in fields[key]]
    for name in [*fields["tasks"][0], *fields["processes"][0], *inner, *PHASES]:
        assert f"`{name}`" in section


def test_commands_are_listed() -> None:
    group = typer.main.get_command(app)
    known = {name for name, one in group.commands.items() if not one.hidden}  # type: ignore[attr-defined]
    listed = commands((ROOT / "docs" / "reference" / "commands.md").read_text())
    assert {words[0] for words in listed} - {"--install-completion"} == known


def test_public_names_have_a_reference() -> None:
    page = (ROOT / "docs" / "reference" / "api.md").read_text()
    assert set(re.findall(r"^::: (\S+)", page, re.MULTILINE)) == {
        f"{home}.{name}" for name, home in chameleon_ray.ORIGINS.items()
    }


def test_choices_are_listed() -> None:
    section = TUNING.partition("## Choosing the search")[2].partition("\n## ")[0]
    assert set(rows(TUNING, "`--preset`")) == set(PRESETS)
    tables = {"explorer": "EXPLORERS", "sampler": "SAMPLERS", "cost-model": "COST_MODELS"}
    for option, table in tables.items():
        listed = re.search(rf"`--{option}` \(([^)]+)\)", section)
        assert listed is not None
        assert {name.strip("` \n") for name in listed[1].split(",")} == choices(table)


def test_presets_are_as_tabulated() -> None:
    text = (ROOT / "docs" / "how" / "search.md").read_text()
    titles = re.findall(r"`([\w-]+)`", text.partition("| |")[2].splitlines()[0])
    assert titles == list(PRESETS)
    for row, title in (
        ([f"`{s.explorer}`" for s in PRESETS.values()], "explorer"),
        ([f"`{s.sampler}`" for s in PRESETS.values()], "sampler"),
        ([f"`{s.cost_model}`" for s in PRESETS.values()], "cost model"),
        ([s.first_plan for s in PRESETS.values()], "random measurements at first"),
        ([s.opening for s in PRESETS.values()], "as many of them in a plan"),
        ([s.plan for s in PRESETS.values()], "most measurements in a later plan"),
        ([smaller(s) for s in PRESETS.values()], "the same, of a space that is scored whole"),
        ([s.sampling.candidates for s in PRESETS.values()], "candidates from the explorer"),
        ([clusters(s) for s in PRESETS.values()], "cluster counts tried"),
        ([steps(s) for s in PRESETS.values()], "moves per walker and plan"),
    ):
        assert f"| {title} | {' | '.join(map(str, row))} |" in text


def test_cluster_is_what_ray_takes() -> None:
    package = importlib.util.find_spec("ray")
    assert package is not None
    assert package.origin is not None
    schema = Path(package.origin).parent / "autoscaler" / "ray-schema.json"
    cluster = yaml.safe_load((ROOT / "cluster.yaml").read_text())
    jsonschema.validate(cluster, json.loads(schema.read_text()))
    assert cluster["available_node_types"]["gpu"]["max_workers"] == cluster["max_workers"] > 0
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(cluster | {"workers": 2}, json.loads(schema.read_text()))


@pytest.mark.parametrize(
    "line",
    [
        "chameleon tune",
        "chameleon tune resnet-18 --gpus 2",
        "chameleon tune resnet-18 --trials many",
        "pip install . && chameleon zoo models.yaml --gpus 2",
        "ray exec cluster.yaml 'chameleon apply runs/resnet'",
    ],
)
def test_a_wrong_command_is_found(line: str) -> None:
    (words,) = commands(f"```bash\n{line}\n```")
    assert misfit(words)


def test_other_wrong_statements_are_found(tmp_path: Path) -> None:
    text = "[a](b.md#c) [d](https://e.org) `PPO.walkers` `PPO.runners` `space.py` `outer_space.py`"
    assert broken_links(text, tmp_path) == ["b.md"]
    assert wrong_options(text) == ["PPO.runners"]
    assert missing_modules(text) == ["outer_space.py"]
    assert rows("| file | x |\n|---|---|\n| `a` | b |\n", "file") == ["a"]
