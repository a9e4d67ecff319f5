"""The forecast: how many seconds the end of a session will take.

At the end every layer's finalists are built and timed once more, of the lowerings that are nearly
the fastest. Then every model is compiled,
compared, and timed beside the untuned one. What takes long is known from measurements: default
schedules (VGG-16's take seconds each), builds, and models that are imported again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from chameleon_ray.lowerings import finalists
from chameleon_ray.options import Confirming
from chameleon_ray.record import DEFAULT, Record
from chameleon_ray.tuner import Tuner


@dataclass(frozen=True)
class ModelWork:
    """The work at the end for one model, without that for its layers.

    Attributes:
        imports: Seconds that its import took; compiling takes about as long.
        again: Whether it has to be imported once more.
        weights: Number of times that it has each layer, by digest.
        graphs: Whether it is compiled, compared and timed with recorded graphs, too.
    """

    imports: float
    again: bool
    weights: Mapping[str, float]
    graphs: bool = False


@dataclass
class Forecast:
    """Foretells the end of a session from the records so far.

    Attributes:
        works: The work for each model.
        options: Settings of the end: the number of finalists, and how long models are timed.
        builders: Number of builders that work side by side.
        runners: Number of runners that work side by side.
    """

    works: Sequence[ModelWork]
    options: Confirming
    builders: int
    runners: int = 1
    _builds: dict[str, float] = field(default_factory=dict)
    _runs: dict[str, float] = field(default_factory=dict)
    _defaults: dict[str, float] = field(default_factory=dict)
    _best: dict[str, dict[str, float]] = field(default_factory=dict)

    def learn(self, tuner: Tuner) -> None:
        """Updates the expected seconds of a layer's contest from its records."""
        defaults = [record for record in tuner.records if record.config == DEFAULT]
        others = [r for r in tuner.records if r.latencies and r.config != DEFAULT]
        digest, final = tuner.task.digest, min(len(others), self.options.finalists)
        self._builds[digest] = final * _mean("build_seconds", others)
        self._builds[digest] += _mean("build_seconds", defaults)
        self._runs[digest] = final * _mean("run_seconds", others)
        self._runs[digest] += _mean("run_seconds", defaults)
        self._best.setdefault(tuner.task.layer, {})[digest] = tuner.best_latency
        known = [record.latency for record in defaults if record.latencies]
        self._defaults[digest] = min(known, default=0.0)

    def deadline(self, limit: float, began: float) -> float:
        """Returns the seconds after which a search has to end.

        Args:
            limit: Seconds for the whole session; a share is kept for the end in any case.
            began: Second at which the search began; it has at least half of what was left then.
        """
        kept = max(self.seconds, self.options.reserve * limit)
        return limit - min(kept, max(limit - began, 0.0) / 2)

    @property
    def seconds(self) -> float:
        """Seconds that the end is expected to take."""
        final = [one for best in self._best.values() for one in finalists(best, self.options)]
        builds = sum(self._builds[digest] for digest in final) / self.builders
        runs = sum(self._runs[digest] for digest in final) / self.runners
        return builds + runs + sum(map(self._model, self.works))

    def _model(self, work: ModelWork) -> float:
        """Returns the seconds for a model: import where needed, compiling, and timing.

        Slow models are timed less often.
        """
        untuned = sum(w * self._defaults.get(task, 0.0) for task, w in work.weights.items())
        libraries, options = 1 + work.graphs, self.options
        timing = min(options.model_seconds, (libraries + 1) * options.model_repeats * untuned)
        return work.imports * (libraries + work.again) + timing + libraries * untuned


def _mean(field: str, records: Sequence[Record]) -> float:
    return fmean(getattr(record, field) for record in records) if records else 0.0
