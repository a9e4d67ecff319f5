"""The finish of models: what fails costs no model, and what was begun ends with its model."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from chameleon_ray.api.comparing import Comparison
from chameleon_ray.api.failed_step import StepError
from chameleon_ray.api.finishing import Finish
from chameleon_ray.api.launching import TunedLibrary
from chameleon_ray.api.session_model import SessionModel
from chameleon_ray.errors import UserError
from chameleon_ray.options import Confirming, Request
from chameleon_ray.report.progress import Progress
from chameleon_ray.report.result import UNTUNED, Compared, Latency, Verified


class Failing:
    """A process whose profiles end with a crash."""

    kind = SimpleNamespace(gpus=None)

    def profile(self, *asked: Any) -> dict[str, float]:
        raise StepError("Profile", "the runner was lost")


def test_a_profile_that_fails_costs_no_model() -> None:
    progress = Progress()
    finish = Finish(None, Failing(), None, progress)  # type: ignore[arg-type]
    library = SimpleNamespace(verified=SimpleNamespace(ok=True))
    done = SimpleNamespace(library=library, prepared=SimpleNamespace(inputs=()))
    folder = SimpleNamespace(library=Path("model.so"))
    model = SimpleNamespace(folder=folder, saying=lambda sentence: f"net: {sentence}")
    group = SimpleNamespace(bench=None)
    assert finish.inside(model, done, group, 1.0) == {}  # type: ignore[arg-type]
    (said,) = progress.notes
    assert "net: Its layers were not timed inside it: the runner was lost." in said


class Listening:
    """A comparer that hears what it is asked."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def begin(self, *asked: Any) -> None:
        self.heard.append("begin")

    def end(self) -> None:
        self.heard.append("end")

    def compare(self, *asked: Any) -> Comparison:
        self.heard.append("compare")
        return Comparison()


class Unable:
    """A process that cannot import the model."""

    lost = False

    def __init__(self, graphs: Any = None) -> None:
        self.kind = SimpleNamespace(gpus=None, graphs=graphs)

    def holds(self, request: Request) -> bool:
        return False

    def prepare(self, request: Request) -> None:
        raise UserError("net.onnx is gone.")


ASKED = Request("net.onnx", compare=("onnxruntime",))
FOLDER: Any = SimpleNamespace(
    untuned_library=Path("untuned.so"), database=SimpleNamespace(read=list)
)
PREPARED: Any = SimpleNamespace(inputs=(), tasks=())


@pytest.mark.parametrize(
    ("request_", "graphs", "bench", "seconds", "begun"),
    [
        (ASKED, None, None, 10.0, True),
        (ASKED, None, None, None, True),
        (ASKED, None, None, 0.0, False),
        (ASKED, None, "on a runner", 10.0, False),
        (ASKED, "graphs", None, 10.0, False),
        (Request("net.onnx", compare=()), None, None, 10.0, False),
    ],
)
def test_frameworks_load_the_model_meanwhile_only_where_nothing_is_timed(
    request_: Request, graphs: Any, bench: Any, seconds: float | None, begun: bool
) -> None:
    comparer = Listening()
    finish = Finish(FOLDER, Unable(graphs), comparer, Progress())  # type: ignore[arg-type]
    group: Any = SimpleNamespace(bench=bench)
    with finish.beginning(SessionModel(request_, FOLDER), PREPARED, group, seconds):
        assert comparer.heard == ["begin"] * begun
    assert comparer.heard == [*["begin"] * begun, "end"]


def test_what_was_begun_ends_with_a_model_that_fails() -> None:
    comparer, model = Listening(), SessionModel(ASKED, FOLDER)
    finish = Finish(FOLDER, Unable(), comparer, Progress())  # type: ignore[arg-type]
    group: Any = SimpleNamespace(bench=None, left=[model])
    imported: Any = SimpleNamespace(prepared={model: PREPARED})
    keeper: Any = SimpleNamespace(comparing=lambda left: 10.0)
    assert finish.all([group], imported, {}, keeper) == {}
    assert model.failure == "net.onnx is gone."
    assert comparer.heard == ["begin", "end"]


class Timing(Listening):
    """A comparer that times all that it is asked."""

    def compare(self, *asked: Any) -> Comparison:
        super().compare(*asked)
        return Comparison(Latency(1.0), (), Latency(2.0))


class Able:
    """A process that does all that it is asked, and says when it lets the model go."""

    lost, kind = False, SimpleNamespace(gpus=list, graphs=None)

    def __init__(self, heard: list[str]) -> None:
        self.heard = heard

    def holds(self, request: Request) -> bool:
        return True

    def prepare(self, request: Request) -> Any:
        return PREPARED

    def compile_tuned(self, *asked: Any) -> set[str]:
        self.heard.append("compile")
        return set()

    def check(self, *asked: Any, **options: Any) -> Verified:
        self.heard.append("check")
        return Verified(True, 0.0, 0.0, "torch")

    def compile_graphs(self, path: Path) -> bool:
        return False

    def clear(self) -> None:
        self.heard.append("clear")


def test_the_model_is_let_go_before_frameworks_are_timed() -> None:
    comparer, files = Timing(), tuple(map(Path, ("model.so", "graphs.so", "untuned.so")))
    folder: Any = SimpleNamespace(
        **vars(FOLDER),
        library=files[0],
        libraries=files,
        tvm_database=Path("db"),
        save_winners=dict,
    )
    model, process = SessionModel(ASKED, folder), Able(comparer.heard)
    finish = Finish(folder, process, comparer, Progress())  # type: ignore[arg-type]
    group: Any = SimpleNamespace(bench=None, left=[model])
    known: Any = SimpleNamespace(inputs=(), tasks=(), precision=None)
    keeper: Any = SimpleNamespace(
        comparing=lambda left: 10.0,
        timing=lambda left, compared=0: Confirming(),
        inside=lambda left: 0.0,
    )
    done = finish.all([group], SimpleNamespace(prepared={model: known}), {}, keeper)  # type: ignore[arg-type]
    assert model.failure == ""
    assert done[model].comparison.complete
    assert comparer.heard == ["begin", "compile", "check", "clear", "compare", "end"]


def test_latencies_are_of_the_turns_and_of_a_duel_only_where_these_lack_one() -> None:
    right = Verified(True, 0.0, 0.0, "torch")
    duel = TunedLibrary(right, Latency(1.0), Latency(5.0))
    other = Compared("ONNX Runtime", "1", Latency(3.0), 1)
    both = Comparison(Latency(2.0), (other,), Latency(6.0))
    assert both.complete
    assert both.completed(duel.tuned, duel.untuned) == both
    slow = Comparison(Latency(2.0), (other, Compared(UNTUNED, fault="it takes 20 s")))
    assert not slow.complete
    whole = slow.completed(duel.tuned, duel.untuned)
    told = Compared(UNTUNED, fault="it takes 20 s; it took turns with the tuned model alone")
    assert whole == Comparison(Latency(2.0), (other, told), Latency(5.0))
    assert Comparison(others=(other,)).completed(duel.tuned, duel.untuned).tuned == Latency(1.0)
