"""The timekeeper: keeps the deadline of a search such that there is time for the end."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from time import perf_counter

from chameleon_ray.api.contestants import begins
from chameleon_ray.api.model_process import ModelProcess
from chameleon_ray.api.session_model import SessionModel
from chameleon_ray.budget import Budget
from chameleon_ray.compiler.prepared import Prepared
from chameleon_ray.forecast import Forecast, ModelWork
from chameleon_ray.measure.measurer import Measurer
from chameleon_ray.options import Confirming, Request
from chameleon_ray.record import Record
from chameleon_ray.report.progress import Progress
from chameleon_ray.space import Config
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
        clock: Returns the seconds since the session began.
    """

    forecast: Forecast
    limit: float | None
    began: float
    progress: Progress
    budgets: Sequence[Budget] = ()
    clock: Callable[[], float] = perf_counter

    @property
    def deadline(self) -> float | None:
        """Seconds after which the search ends; None without a limit."""
        return None if self.limit is None else self.forecast.deadline(self.limit, self.began)

    @property
    def late(self) -> float:
        """Seconds beyond the limit that the end is expected to take, however short the search."""
        if self.limit is None or self.deadline is None:
            return 0.0
        return max(self.deadline + self.forecast.after - self.limit, 0.0)

    def confirming(self) -> tuple[Confirming, float | None]:
        """Returns the settings of the choice of winners, and the seconds after which it is cut.

        Where there is too little time, there are fewer finalists, but one of each layer before
        there is time for other frameworks.
        """
        options = self.forecast.options
        if self.limit is None:
            return options, None
        whole = max(self.limit - self.clock() - self.forecast.after, 0.0)
        other = self._comparing + self.forecast.trying(self.limit - self.began)
        left = max(whole - other, min(whole, self.forecast.contests(1)))
        return replace(options, finalists=self.forecast.finalists(left)), left

    def wholes(self) -> int:
        """Returns the number of other whole models for which there is time.

        They take a share of the time that the search had, at most.
        """
        now, forecast = self.clock(), self.forecast
        seconds = forecast.options.most_wholes * (now - self.began)
        if self.limit is not None:
            seconds = min(seconds, self.limit - now - forecast.after - self._comparing)
        return forecast.wholes(seconds)

    def timing(self, models: int, compared: int = 0) -> Confirming:
        """Returns the settings of comparing and timing a whole model, which is compiled already.

        Args:
            models: Number of models that are left, this one included.
            compared: Number of them for which no time has to be left for other frameworks.
        """
        options, works = self.forecast.options, len(self.forecast.works)
        if self.limit is None:
            return options
        comparing = self._comparing * (models - compared) / max(works, 1)
        left = (self.limit - self.clock() - options.closing_seconds - comparing) / models
        left -= self._profiling
        seconds = min(max(left, options.least_model_seconds), options.model_seconds)
        return replace(options, model_seconds=seconds, checking_seconds=max(left / 2, 0.0))

    def inside(self, models: int) -> float:
        """Returns the seconds for timing a model's layers inside it; 0 where the time is up.

        Args:
            models: Number of models that are left, this one included.
        """
        options = self.forecast.options
        if self.limit is None:
            return options.profile_seconds
        checking = max((work.checking for work in self.forecast.works), default=0.0)
        left = (self.limit - self.clock() - options.closing_seconds) / models - checking
        return min(max(left, 0.0), options.profile_seconds)

    def comparing(self, models: int) -> float | None:
        """Returns the seconds that there are for comparing a model with other frameworks.

        Args:
            models: Number of models that are left, this one included.
        """
        if self.limit is None:
            return None
        left = (self.limit - self.clock() - self.forecast.options.closing_seconds) / models
        return max(left - self._profiling, 0.0)

    @property
    def _comparing(self) -> float:
        """Seconds that are kept for comparing all models with other frameworks."""
        return 0.0 if self.limit is None else self.forecast.comparing(self.limit - self.began)

    @property
    def _profiling(self) -> float:
        """Seconds to leave for timing a model's layers inside it, once it is timed itself."""
        seconds, works = self.forecast.options.profile_seconds, self.forecast.works
        return max((work.checking + seconds for work in works if work.inside), default=0.0)

    def proposed(self, task: str, count: int) -> None: ...

    def measured(self, record: Record, timing_seconds: float) -> None: ...

    def finished(self, task: str, reason: str) -> None: ...

    def planned(self, tuner: Tuner) -> None:
        self.forecast.learn(tuner)
        self.keep()

    def keep(self) -> None:
        """Sets the deadline of the progress and of all budgets."""
        deadline = self.deadline
        self.progress.wall_limit, self.progress.closing = deadline, self.forecast.seconds
        for budget in self.budgets:
            budget.deadline = deadline


def forecast_of(
    prepared: Mapping[SessionModel, Prepared],
    process: ModelProcess,
    tuners: Iterable[Tuner],
    measurers: Sequence[Measurer],
    builders: int,
    runners: int,
    starting: float = 0.0,
    elsewhere: bool = False,
    together: bool = False,
) -> Forecast:
    """Foretells the end of a session from what was done so far.

    Args:
        prepared: The imported models, with the seconds that their imports took.
        process: Process that still holds one of them; the others will be imported once more. It
            has compiled and compared all of them.
        tuners: Tuners of all layers of the models.
        measurers: Measurers of the layers, which keep builds.
        builders, runners: Numbers of them that work side by side.
        starting: Seconds that the command took to begin; its end is expected to take as long.
        elsewhere: Whether whole models are run by runners, and so not compared.
        together: Whether all models are compiled to one library.
    """
    about = (process, len(prepared), elsewhere, together)
    works = [work_of(model, known, *about) for model, known in prepared.items()]

    def kept(task: str, config: Config) -> bool:
        return any(measurer.kept.has(task, config) for measurer in measurers)

    options = next(iter(prepared)).request.confirming
    options = replace(options, closing_seconds=max(options.closing_seconds, starting))
    forecast = Forecast(works, options, builders, runners, kept)
    for tuner in tuners:
        forecast.learn(tuner)
    return forecast


def work_of(
    model: SessionModel,
    known: Prepared,
    process: ModelProcess,
    models: int,
    elsewhere: bool = False,
    together: bool = False,
) -> ModelWork:
    """Foretells the work at the end for one of some models, all of which have been compiled."""
    imports, spent = sum(known.seconds.values()), process.account(0.0).busy
    compiling = spent.get("apply", 0.0) / models
    begun = begins(model.request, process.kind, elsewhere) and not together
    comparing = comparing_seconds(model.request, imports, compiling if begun else 0.0)
    return ModelWork(
        imports=imports,
        again=not process.holds(model.request),
        weights={task.digest: task.weight for task in known.tasks if not task.instead},
        graphs=process.kind.graphs is not None,
        comparing=0.0 if elsewhere else comparing,
        compiling=compiling,
        checking=spent.get("verify", 0.0) / models,
        inside=process.kind.gpus is None and not together,
        threads=process.threads,
    )


def comparing_seconds(request: Request, imports: float, compiling: float) -> float:
    """Foretells the seconds of comparing a model with frameworks.

    Args:
        request: Request that names the frameworks.
        imports: Seconds that the model's import took.
        compiling: Seconds that compiling it without tuning took, where frameworks load it while it
            is compiled tuned; else 0.
    """
    if not request.compare:
        return 0.0
    options, meanwhile = request.comparing, request.confirming.tuned_compiling * compiling
    return options.seconds + max(options.starting_share * imports - meanwhile, 0.0)
