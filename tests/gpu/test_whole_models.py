"""Whole models: compiled on a machine without a GPU, and run on one with a simulated GPU."""

import os
import re
import shutil
import struct
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from chameleon_ray.api.failed_step import StepError
from chameleon_ray.api.launching import Libraries, settled
from chameleon_ray.api.model_process import ModelProcess
from chameleon_ray.compiler.kinds import CUDA
from chameleon_ray.compiler.prepared import Prepared
from chameleon_ray.compiler.runtime.model_bench import ModelBench
from chameleon_ray.measure.cores import available
from chameleon_ray.options import Confirming, Request
from tests.gpu.conftest import simulated
from tests.gpu.nets import positive
from tests.whole.onnx_net import dense_layers

CORES = available()[-1:]
QUICK = Confirming(model_repeats=3, model_seconds=1.0)
LAUNCH = b"vm.builtin.cuda_graph.run_or_capture"
EM_CUDA = 190
"""Number of NVIDIA's GPUs among the machines that an ELF file may be for."""


@dataclass(frozen=True)
class Compiled:
    """A model as a machine without a GPU compiled it."""

    process: ModelProcess
    prepared: Prepared
    folder: Path


def request(file: str) -> Request:
    return Request(file, target="cuda:sm_90")


def machines(library: Path) -> list[int]:
    """What the ELF files inside a library are for, the library's own machine first."""
    body = library.read_bytes()
    places, place = [], body.find(b"\x7fELF\x02\x01\x01")
    while place >= 0:
        places.append(place)
        place = body.find(b"\x7fELF\x02\x01\x01", place + 1)
    return [struct.unpack_from("<H", body, place + 18)[0] for place in places]


def set_up(patch: pytest.MonkeyPatch, environment: Mapping[str, str]) -> None:
    """Has all processes that are started from now on find what a simulated machine has."""
    for name in [name for name in os.environ if name.startswith("SIMULATED_")]:
        patch.delenv(name)
    patch.setenv("LD_LIBRARY_PATH", "")
    for name, value in environment.items():
        patch.setenv(name, value)


@pytest.fixture(scope="module")
def headless(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compiled]:
    """A model compiled without a driver: untuned, and as if tuned, with graphs and without."""
    folder = tmp_path_factory.mktemp("headless")
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        set_up(patch, simulated(driver=None))
        process = ModelProcess(CUDA, CORES, stack)
        file = dense_layers(folder / "dense.onnx", 32, 16, 24, 8, 12)
        prepared = process.prepare(request(file))
        process.compile_untuned(folder / "untuned.so")
        process.compile_tuned({}, folder / "model.so", folder / "database")
        assert process.compile_graphs(folder / "graphs.so")
        assert process.device() is None
        yield Compiled(process, prepared, folder)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelBench]:
    """Runs models on a simulated GPU."""
    set_up(monkeypatch, simulated())
    made = ModelBench(CUDA, CORES)
    yield made
    made.close()


def test_a_head_without_a_driver_writes_binaries(headless: Compiled) -> None:
    for name in ("untuned", "model", "graphs"):
        library = headless.folder / f"{name}.so"
        assert b"__global__" not in library.read_bytes()
        assert EM_CUDA in machines(library)[1:]


def test_which_a_machine_with_a_gpu_runs(headless: Compiled, bench: ModelBench) -> None:
    libraries = [headless.folder / f"{name}.so" for name in ("untuned", "model", "graphs")]
    for library in libraries:
        verified = headless.process.check(library, headless.prepared, bench, replayed=True)
        assert verified.outcome == "verified", verified.fault
        assert verified.examples == len(headless.prepared.examples)
    timed = headless.process.duel(tuple(libraries), headless.prepared.inputs, QUICK, bench)
    assert [len(latencies) for latencies in timed] == [3, 3, 3]


def copied(headless: Compiled, folder: Path) -> Libraries:
    """The model's libraries, without the one with graphs, to choose from."""
    files = Libraries(*(folder / name for name in ("model.so", "graphs.so", "untuned.so")))
    for file in (files.tuned, files.untuned):
        shutil.copy(headless.folder / file.name, file)
    return files


def test_the_faster_way_to_launch_is_kept(
    headless: Compiled, bench: ModelBench, tmp_path: Path
) -> None:
    files = copied(headless, tmp_path)
    found = settled(files, headless.prepared, headless.process, bench, lambda: QUICK)
    assert found.verified.outcome == "verified"
    assert found.launching is not None
    assert found.launching.fault == ""
    assert found.launching.ratio is not None
    assert found.launching.ratio >= 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.so", "untuned.so"]
    assert (LAUNCH in files.tuned.read_bytes()) == found.launching.graphs


@pytest.mark.parametrize(
    ("faults", "said"),
    [
        ({"capture": 901}, r"they failed \(.+\)"),
        ({"replays": "nothing"}, r"they are wrong \(output .* differs by"),
    ],
    ids=["no capture", "no replay"],
)
def test_graphs_that_fail_or_are_wrong_are_left_out(
    headless: Compiled,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    faults: dict[str, object],
    said: str,
) -> None:
    set_up(monkeypatch, simulated(**faults))
    files = copied(headless, tmp_path)
    with closing(ModelBench(CUDA, CORES)) as bench:
        found = settled(files, headless.prepared, headless.process, bench, lambda: QUICK)
    assert found.verified.outcome == "verified"
    assert found.launching is not None
    assert re.match(said, found.launching.fault)
    assert len(found.launching.fault) < 300
    assert files.tuned.read_bytes() == (headless.folder / "model.so").read_bytes()
    assert not files.graphs.exists()


def test_a_model_of_source_is_refused(
    bench: ModelBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As TVM makes it where it has no CUDA runtime, or is told to do without."""
    monkeypatch.setenv("TVM_COMPILE_FORCE_FALLBACK", "1")
    with ExitStack() as stack:
        process = ModelProcess(CUDA, CORES, stack)
        prepared = process.prepare(request(dense_layers(tmp_path / "dense.onnx", 32, 16)))
        process.compile_untuned(tmp_path / "source.so")
        assert b"__global__" in (tmp_path / "source.so").read_bytes()
        with pytest.raises(StepError, match="only loads what builders have compiled"):
            process.check(tmp_path / "source.so", prepared, bench)


def test_shapes_that_the_data_say_leave_graphs_of_the_rest(
    bench: ModelBench, tmp_path: Path
) -> None:
    """And the program that goes through a tensor to find them runs on the GPU."""
    with ExitStack() as stack:
        process = ModelProcess(CUDA, CORES, stack)
        prepared = process.prepare(request(positive(tmp_path / "positive.onnx")))
        process.compile_tuned({}, tmp_path / "model.so", tmp_path / "database")
        assert process.compile_graphs(tmp_path / "graphs.so")
        verified = process.check(tmp_path / "graphs.so", prepared, bench, replayed=True)
        assert verified.outcome == "verified", verified.fault


def test_a_model_may_have_nothing_to_record(tmp_path: Path) -> None:
    """As every layer reads the input or writes the output."""
    with ExitStack() as stack:
        process = ModelProcess(CUDA, CORES, stack)
        process.prepare(request(dense_layers(tmp_path / "dense.onnx", 32, 16, 8)))
        process.compile_tuned({}, tmp_path / "model.so", tmp_path / "database")
        assert not process.compile_graphs(tmp_path / "graphs.so")
        assert not (tmp_path / "graphs.so").exists()
