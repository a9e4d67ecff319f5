"""The timekeeper: keeps the deadline of a search such that there is time for the end."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from chameleon_ray.api.model_process import ModelProcess
from chameleon_ray.api.tuned_model import TunedModel
from chameleon_ray.budget import Budget
from chameleon_ray.compiler.prepared import Prepared
from chameleon_ray.forecast import Forecast, ModelWork
from chameleon_ray.record import Record
from chameleon_ray.report.progress import Progress
from chameleon_ray.tuner import Tuner


@dataclass
class Timekeeper:
    """A watcher of engines that moves their deadline as more is known of the end.

    Attributes:
        forecast: Forecast of the session's end.
        limit: Seconds for the whole session; None where they do not count.
        began: Second at which the session's search began.
        progress: Progress that shows the deadline.
        budgets: Budgets that keep the deadline.
    """

    forecast: Forecast
    limit: float | None
    began: float
    progress: Progress
    budgets: Sequence[Budget] = ()

    @property
    def deadline(self) -> float | None:
        """Seconds after which the search ends; None without a limit."""
        return None if self.limit is None else self.forecast.deadline(self.limit, self.began)

    def proposed(self, task: str, count: int) -> None: ...

    def measured(self, record: Record, timing_seconds: float) -> None: ...

    def finished(self, task: str, reason: str) -> None: ...

    def planned(self, tuner: Tuner) -> None:
        self.forecast.learn(tuner)
        self.keep()

    def keep(self) -> None:
        """Sets the deadline of the progress and of all budgets."""
        deadline = self.deadline
        self.progress.wall_limit = deadline
        for budget in self.budgets:
            budget.deadline = deadline


def forecast_of(
    prepared: Mapping[TunedModel, Prepared],
    process: ModelProcess,
    tuners: Iterable[Tuner],
    builders: int,
    runners: int,
) -> Forecast:
    """Foretells the end of a session from its layers' earlier records.

    Args:
        prepared: The imported models, with the seconds that their imports took.
        process: Process that still holds one of them; the others will be imported once more.
        tuners: Tuners of all layers of the models.
        builders: Number of builders that work side by side.
        runners: Number of runners that work side by side.
    """
    works = [
        ModelWork(
            imports=sum(known.seconds.values()),
            again=not process.holds(model.request),
            weights={task.digest: task.weight for task in known.tasks if not task.instead},
            graphs=process.kind.graphs is not None,
        )
        for model, known in prepared.items()
    ]
    forecast = Forecast(works, next(iter(prepared)).request.confirming, builders, runners)
    for tuner in tuners:
        forecast.learn(tuner)
    return forecast
