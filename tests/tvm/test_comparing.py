"""Comparisons of a compiled model with frameworks: their figures, and faults as values."""

import re
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from threading import Timer

import numpy as np
import onnx
import pytest

from chameleon_ray.api.comparing import Comparer
from chameleon_ray.api.contestants import TUNED
from chameleon_ray.api.finished_run import bench
from chameleon_ray.compiler.apply import compile_as_imported
from chameleon_ray.compiler.frontend.load import load
from chameleon_ray.compiler.kinds import LLVM
from chameleon_ray.errors import Stopped
from chameleon_ray.folder import RunFolder
from chameleon_ray.measure.cores import available
from chameleon_ray.measure.frameworks import Framework
from chameleon_ray.measure.precision import PLAIN
from chameleon_ray.options import Comparing, Confirming, Request
from chameleon_ray.report.result import UNTUNED
from tests.tvm import layers
from tests.tvm.onnx_graph import graph

X = np.linspace(-1, 1, 64 * 64, dtype="float32").reshape(64, 64)
CORES = available()[-1:]
QUICK = Comparing(rounds=2, turn_seconds=0.01, starting=60.0)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    node = onnx.helper.make_node("MatMul", ["x", "w"], ["y"])
    onnx.save(graph([node], {"x": X}, ["y"], {"w": X}), folder / "net.onnx")
    imported = load(str(folder / "net.onnx"))
    where = (layers.target(), LLVM, folder / "model.so")
    compile_as_imported("net", imported.module, *where, PLAIN)
    return folder


@pytest.fixture
def comparer() -> Iterator[Comparer]:
    with ExitStack() as stack:
        yield Comparer(LLVM, CORES, stack)


def request(model: Path, *names: str) -> Request:
    return Request(str(model / "net.onnx"), compare=names, comparing=QUICK)


def test_a_framework_is_timed_beside_the_library(model: Path, comparer: Comparer) -> None:
    asked = request(model, "onnxruntime", "pytorch")
    found = comparer.compare(asked, model / "model.so", (X,))
    runtime, torch = found.others
    assert runtime.name == "ONNX Runtime"
    assert runtime.fault == ""
    assert runtime.threads == len(CORES)
    assert runtime.latency is not None
    assert 0 < runtime.latency.seconds < 1
    assert found.tuned is not None
    assert 0 < found.tuned.seconds < 1
    assert torch.latency is None
    assert torch.fault == "the model is .onnx, not torch's"


def test_what_was_begun_is_timed_in_the_same_turns_as_untuned_tvm(
    model: Path, comparer: Comparer
) -> None:
    asked = request(model, "onnxruntime", "pytorch")
    comparer.begin(asked, (X,), model / "model.so")
    found = comparer.compare(asked, model / "model.so", (X,), 60.0, precision=PLAIN)
    assert found.tuned is not None
    assert found.untuned is not None
    assert [one.fault for one in found.others] == ["", "the model is .onnx, not torch's"]
    alone = comparer.compare(asked, model / "model.so", (X,), 0.0)
    assert alone.tuned is None, "what was begun is used once"


def test_what_was_begun_has_some_time_in_any_case(model: Path, comparer: Comparer) -> None:
    options = replace(QUICK, begun_seconds=60.0)
    asked = replace(request(model, "onnxruntime"), comparing=options)
    comparer.begin(asked, (X,), model / "model.so")
    found = comparer.compare(asked, model / "model.so", (X,), 0.0)
    assert [one.fault for one in found.others] == [""]
    assert found.tuned is not None


def test_untuned_tvm_is_left_out_with_the_reason_where_it_cannot_be_timed_beside(
    model: Path, comparer: Comparer
) -> None:
    asked = request(model, "onnxruntime")
    found = comparer.compare(asked, model / "model.so", (X,), untuned=model / "gone.so")
    assert found.tuned is not None
    assert found.untuned is None
    runtime, untuned = found.others
    assert runtime.latency is not None
    assert untuned.name == UNTUNED
    assert "gone.so" in untuned.fault


@pytest.mark.parametrize("seconds", [0.0, 1.0])
def test_a_close_in_another_thread_ends_what_is_begun(
    model: Path, comparer: Comparer, seconds: float
) -> None:
    timer = Timer(seconds, comparer.close)
    asked = request(model, "onnxruntime")

    def compared() -> None:
        comparer.begin(asked, (X,), model / "model.so")
        comparer.compare(asked, model / "model.so", (X,), 60.0)
        timer.join()
        comparer.begin(asked, (X,), model / "model.so")

    timer.start()
    with pytest.raises(Stopped):
        compared()
    timer.join()
    with pytest.raises(Stopped):
        comparer.begin(asked, (X,), model / "model.so")


def test_a_finished_run_is_timed_in_as_many_turns_as_asked_for(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder(tmp_path / "run", existing=False)
    options = {"model": str(model / "net.onnx"), "inputs": [], "seed": 0, "threads": 1}
    about = {"model": "net", "device": "a CPU", "target": "llvm", "options": options}
    folder.identify({**about, "inputs": [[list(X.shape), "float32"]]})
    for library in (folder.library, folder.untuned_library):
        shutil.copy(model / "model.so", library)
    folder.close()
    turns, timed = Counter[str](), Framework.latencies

    def counted(one: Framework, *asked: float) -> tuple[float, ...]:
        turns[one.name] += 1
        return timed(one, *asked)

    monkeypatch.setattr(Framework, "latencies", counted)
    found = bench(folder.path, Confirming(model_repeats=4, model_seconds=60.0), ["onnxruntime"])
    assert turns == {TUNED: 4, UNTUNED: 4, "onnxruntime": 4}
    assert found.tuned is not None
    assert found.untuned is not None


def test_what_was_begun_for_another_request_is_not_used(model: Path, comparer: Comparer) -> None:
    comparer.begin(request(model, "pytorch"), (X,))
    found = comparer.compare(request(model, "onnxruntime"), model / "model.so", (X,))
    assert found.tuned is not None
    assert found.untuned is None


def test_nothing_to_compare_with_leaves_the_library_untimed(
    model: Path, comparer: Comparer
) -> None:
    found = comparer.compare(request(model, "pytorch"), model / "model.so", (X,))
    assert found.tuned is None


@pytest.mark.parametrize(
    ("library", "arrays", "fault"),
    [
        ("gone.so", (X,), "gone.so"),
        ("model.so", (X, X), "the exported model has 1 inputs, not 2"),
        ("model.so", (X[:1, :3],), "INVALID_ARGUMENT|invalid dimensions"),
    ],
)
def test_what_fails_is_a_value(
    model: Path, comparer: Comparer, library: str, arrays: tuple, fault: str
) -> None:
    found = comparer.compare(request(model, "onnxruntime"), model / library, arrays)
    assert found.tuned is None
    (runtime,) = found.others
    assert runtime.latency is None
    assert "\n" not in runtime.fault
    assert runtime.fault


def test_one_that_computes_something_else_is_no_yardstick(
    model: Path, comparer: Comparer, tmp_path: Path
) -> None:
    node = onnx.helper.make_node("MatMul", ["x", "w"], ["y"])
    onnx.save(graph([node], {"x": X}, ["y"], {"w": 1.01 * X}), tmp_path / "net.onnx")
    asked = request(tmp_path, "onnxruntime")
    (other,) = comparer.compare(asked, model / "model.so", (X,), precision=PLAIN).others
    assert other.latency is None
    assert other.fault.startswith("it computes something else, as the output differs by ")
    same = request(model, "onnxruntime")
    found = comparer.compare(same, model / "model.so", (X,), precision=PLAIN)
    assert [one.fault for one in found.others] == [""]


def test_too_little_time_begins_nothing(model: Path, comparer: Comparer) -> None:
    found = comparer.compare(request(model, "onnxruntime"), model / "model.so", (X,), 1.0)
    assert [one.fault for one in found.others] == ["the time was up"]


def test_one_that_is_not_ready_in_time_is_left_out(model: Path, comparer: Comparer) -> None:
    hurried = replace(request(model, "onnxruntime"), comparing=replace(QUICK, starting=0.01))
    (runtime,) = comparer.compare(hurried, model / "model.so", (X,)).others
    assert re.search(r"it did not load the model within 0\.\d s", runtime.fault)


def test_a_closed_comparer_stops(model: Path, comparer: Comparer) -> None:
    comparer.close()
    with pytest.raises(Stopped):
        comparer.compare(request(model, "onnxruntime"), model / "model.so", (X,))
