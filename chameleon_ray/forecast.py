"""The forecast: what was measured so far in, the seconds that a session's end will take out.

At its end every layer's finalists are built and timed once more, then every model is compiled,
compared, and timed beside the untuned one. What of that takes long is known before: default
schedules, of which VGG-16's take seconds each, builds, and models that are imported again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from chameleon_ray.options import Confirming
from chameleon_ray.record import DEFAULT, Record
from chameleon_ray.tuner import Tuner


@dataclass(frozen=True)
class ModelWork:
    """What the end of one model takes, but for its layers.

    Attributes:
        imports: Seconds that its import took; to compile it takes about as long.
        again: It will have to be imported once more.
        weights: How often it has each layer, by digest.
    """

    imports: float
    again: bool
    weights: Mapping[str, float]


@dataclass
class Forecast:
    """Foretells the end of a session from the records so far.

    Attributes:
        works: Of the models.
        options: How many finalists there are, and how long models are timed.
        builders: That work side by side.
        runners: The same.
    """

    works: Sequence[ModelWork]
    options: Confirming
    builders: int
    runners: int = 1
    _builds: dict[str, float] = field(default_factory=dict)
    _runs: dict[str, float] = field(default_factory=dict)
    _defaults: dict[str, float] = field(default_factory=dict)

    def learn(self, tuner: Tuner) -> None:
        """Takes note of what a layer's records say of its contest."""
        defaults = [record for record in tuner.records if record.config == DEFAULT]
        others = [r for r in tuner.records if r.latencies and r.config != DEFAULT]
        digest, final = tuner.task.digest, min(len(others), self.options.finalists)
        self._builds[digest] = final * _mean("build_seconds", others)
        self._builds[digest] += _mean("build_seconds", defaults)
        self._runs[digest] = final * _mean("run_seconds", others)
        self._runs[digest] += _mean("run_seconds", defaults)
        known = [record.latency for record in defaults if record.latencies]
        self._defaults[digest] = min(known, default=0.0)

    def deadline(self, limit: float, began: float) -> float:
        """Seconds after which a search has to end.

        Args:
            limit: Seconds for the whole session, of which a share is kept whatever is foretold.
            began: When the search began; it has at least half of what is left then.
        """
        kept = max(self.seconds, self.options.reserve * limit)
        return limit - min(kept, max(limit - began, 0.0) / 2)

    @property
    def seconds(self) -> float:
        """What the end is expected to take."""
        builds = sum(self._builds.values()) / self.builders
        runs = sum(self._runs.values()) / self.runners
        return builds + runs + sum(map(self._model, self.works))

    def _model(self, ending: ModelWork) -> float:
        """Import where that is needed, compiling, and timing, of which slow models get less."""
        untuned = sum(w * self._defaults.get(task, 0.0) for task, w in ending.weights.items())
        timing = min(self.options.model_seconds, 2 * self.options.model_repeats * untuned)
        return ending.imports * (1 + ending.again) + timing + untuned


def _mean(field: str, records: Sequence[Record]) -> float:
    return fmean(getattr(record, field) for record in records) if records else 0.0
