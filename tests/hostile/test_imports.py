"""Models that do harm: what they do stays in their process, and is told in one sentence."""

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from chameleon_ray.api.model_process import ModelProcess
from chameleon_ray.compiler.kinds import KINDS
from chameleon_ray.errors import UserError
from chameleon_ray.measure.isolate import Isolate, Setting
from chameleon_ray.options import Request
from tests.hostile.attempts import CALLED, READ, Attempt
from tests.hostile.graphs import write
from tests.hostile.leftovers import files_left
from tests.whole.command import until

SENTENCE = re.compile(r"[^\n]{20,900}\.")
BARE = re.compile(r"(failed: |\()\w+(Error|Exception)\W*$")


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelProcess]:
    kind = KINDS["llvm"]
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        temporary = str(tmp_path_factory.mktemp("temporary"))
        patch.setattr(tempfile, "tempdir", temporary)
        patch.setenv("TMPDIR", temporary)
        model = ModelProcess(kind, (min(os.sched_getaffinity(0)),), stack)
        model._host.close()
        model._host = Isolate(Setting("tests.hostile.preloaded:host", kind, model.cores))
        stack.callback(model._host.close)
        yield model


def sleeping() -> list[int]:
    """Ids of the processes that the factories start."""
    mark, found = os.environ["TMPDIR"].encode(), []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                if b"sleep\x0086399" in (folder / "cmdline").read_bytes() and (
                    mark in (folder / "environ").read_bytes()
                ):
                    found.append(int(folder.name))
            except OSError:
                continue
    return found


@pytest.mark.parametrize("attempt", CALLED, ids=lambda one: one.what)
def test_a_factory(process: ModelProcess, attempt: Attempt, tmp_path: Path) -> None:
    demand_told(process, attempt, tmp_path)


@pytest.mark.parametrize("attempt", READ, ids=lambda one: one.what)
def test_a_file(process: ModelProcess, attempt: Attempt, tmp_path: Path) -> None:
    write(tmp_path)
    demand_told(process, attempt, tmp_path)


def demand_told(process: ModelProcess, attempt: Attempt, tmp_path: Path) -> None:
    """Imports a model and checks what is said, and that nothing is left."""
    place = os.getcwd()
    request = Request(attempt.spec(tmp_path), inputs=attempt.inputs)
    if attempt.said:
        with pytest.raises(UserError) as told:
            process.prepare(request)
        sentence = str(told.value)
        assert SENTENCE.fullmatch(sentence), sentence
        assert not BARE.search(sentence), sentence
        assert attempt.model in sentence
        for words in attempt.said:
            assert words in sentence
    else:
        prepared = process.prepare(request)
        assert prepared.examples[0].outputs is not None
        process.compile_untuned(tmp_path / "model.so")
        assert (tmp_path / "model.so").stat().st_size > 0
    process.clear()
    assert until(lambda: not sleeping(), 5)
    emptied = [process._host.revived().name]
    assert (os.getcwd(), files_left(Path(tempfile.gettempdir()))) == (place, emptied)
