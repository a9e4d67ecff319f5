"""A verified library stands where its layers cannot be timed inside it."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from chameleon_ray.api.failed_step import StepError
from chameleon_ray.api.finishing import Finish
from chameleon_ray.report.progress import Progress


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
