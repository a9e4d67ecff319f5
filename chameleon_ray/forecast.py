"""The forecast: how many seconds the end of a session will take.

At the end every layer's finalists are timed once more, of the lowerings that are nearly its
fastest. Then every model is compiled, compared, and timed beside the untuned one. All of it was
done before in the same session, if in smaller portions: so a machine that is slow, or busy with
other things, is foretold to be as slow at the end.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from statistics import fmean

from chameleon_ray.lowerings import contenders
from chameleon_ray.options import Confirming
from chameleon_ray.record import DEFAULT, Record
from chameleon_ray.space import Config
from chameleon_ray.tuner import Tuner


@dataclass(frozen=True)
class ModelWork:
    """The work at the end for one model, without that for its layers.

    Attributes:
        imports: Seconds that its import took.
        again: Whether it has to be imported once more.
        weights: Number of times that it has each layer, by digest.
        graphs: Whether it is compiled, compared and timed with recorded graphs, too.
        compiling: Seconds that compiling it without tuning took.
        comparing: Seconds for comparing it with other frameworks.
        checking: Seconds that loading and comparing it took, which is done once more each for
            comparing and timing it, and for timing its layers inside it.
        inside: Whether its layers are timed inside it.
        threads: Threads of its kernels on a CPU.
    """

    imports: float
    again: bool
    weights: Mapping[str, float]
    graphs: bool = False
    compiling: float = 0.0
    comparing: float = 0.0
    checking: float = 0.0
    inside: bool = False
    threads: int = 1


@dataclass(frozen=True)
class _Contest:
    """What is known of one layer's contest: seconds of the default, and of the finalists' each."""

    default: float = 0.0
    build: float = 0.0
    builds: tuple[bool, ...] = ()
    run: float = 0.0
    latency: float = 0.0

    def seconds(self, finalists: int, builders: int, runners: int) -> float:
        builds = self.build * sum(self.builds[: finalists + 1]) / builders
        final = min(finalists, len(self.builds) - 1)
        return builds + (self.default + self.run * final) / runners if final > 0 else 0.0


@dataclass
class Forecast:
    """Foretells the end of a session from what was done so far.

    Attributes:
        works: The work for each model.
        options: Settings of the end: the number of finalists, and how long models are timed.
        builders: Number of builders that work side by side.
        runners: Number of runners that work side by side.
        kept: Whether the build of a layer's configuration is still there, by the layer's digest.
    """

    works: Sequence[ModelWork]
    options: Confirming
    builders: int
    runners: int = 1
    kept: Callable[[str, Config], bool] = lambda task, config: False
    _contests: dict[str, _Contest] = field(default_factory=dict)
    _best: dict[str, dict[str, float]] = field(default_factory=dict)

    def learn(self, tuner: Tuner) -> None:
        """Updates what is known of a layer's contest from its records."""
        defaults = [record for record in tuner.records if record.config == DEFAULT]
        others = [r for r in tuner.records if r.latencies and r.config != DEFAULT]
        task, known = tuner.task, [r.latency for r in defaults if r.latencies]
        digest, first = task.digest, self._contests.get(task.layer, _Contest())
        final = sorted(others, key=lambda record: record.latency)[: self.options.finalists]
        configs = [DEFAULT, *(record.config for record in final)]
        self._best.setdefault(task.layer, {})[digest] = tuner.best_latency
        self._contests[digest] = _Contest(
            default=_mean("run_seconds", defaults) if defaults else first.default,
            build=max(_mean("build_seconds", others), _mean("build_seconds", defaults)),
            builds=tuple(not self.kept(digest, config) for config in configs),
            run=_mean("run_seconds", others),
            latency=min(known, default=0.0),
        )

    def deadline(self, limit: float, began: float) -> float:
        """Returns the seconds after which a search has to end.

        Args:
            limit: Seconds for the whole session; a share is kept for the end in any case.
            began: Second at which the search began; it has a share of what was left then.
        """
        left = max(limit - began, 0.0)
        end = self.seconds + self.comparing(left) + self.trying(left)
        kept = max(end, self.options.reserve * limit)
        return limit - min(kept, (1 - self.options.least_search) * left)

    def wholes(self, seconds: float) -> int:
        """Returns the most other whole models that can be compiled and timed in some seconds."""
        count = self.options.wholes
        while count and self.whole_seconds(count) > seconds:
            count -= 1
        return count

    def whole_seconds(self, count: int) -> float:
        """Returns the seconds for so many other whole models, infinite where there are to be none.

        They are compiled, as are the first one and the best one, and timed in two questions. A
        model that is alone has them, where its kernels have several threads.
        """
        if len(self.works) != 1 or not self.works[0].inside or self.works[0].threads < 2:
            return inf
        (work,), options = self.works, self.options
        compiling = (count + 2) * options.tuned_compiling * work.compiling
        timing = max(options.wholes_seconds, 2 * self._tuned(work))
        return compiling + 2 * work.checking + (count + 3) * timing

    def _tuned(self, work: ModelWork) -> float:
        """Returns the seconds that a model takes with the best of its layers so far."""
        known = {layer: min(best.values()) for layer, best in self._best.items()}
        times = [(count, known.get(layer, 0.0)) for layer, count in work.weights.items()]
        return sum(count * seconds for count, seconds in times if seconds < inf)

    def comparing(self, left: float) -> float:
        """Returns the seconds kept for other frameworks, of those left when the search begins."""
        return min(
            sum(w.comparing for w in self.works), self.options.most_comparing * max(left, 0.0)
        )

    def trying(self, left: float) -> float:
        """Returns the seconds kept for other whole models, of those left when the search begins."""
        count = self.wholes(self.options.most_wholes * left)
        return self.whole_seconds(count) if count else 0.0

    @property
    def seconds(self) -> float:
        """Seconds that the end is expected to take, without other frameworks and whole models."""
        return self.contests(self.options.finalists) + self.after

    @property
    def after(self) -> float:
        """Seconds that everything after the choice of winners is expected to take."""
        return sum(map(self._model, self.works)) + self.options.closing_seconds

    def contests(self, finalists: int) -> float:
        """Returns the seconds that choosing winners among so many finalists is expected to take."""
        final = [one for best in self._best.values() for one in contenders(best, self.options)]
        workers = self.builders, self.runners
        return sum(self._contests[digest].seconds(finalists, *workers) for digest in final)

    def finalists(self, seconds: float) -> int:
        """Returns the most finalists of a layer for whose choice the time suffices; at least 1."""
        counts = range(self.options.finalists, 1, -1)
        return next((count for count in counts if self.contests(count) <= seconds), 1)

    def _model(self, work: ModelWork) -> float:
        """Returns the seconds for a model: import where needed, compiling, and timing.

        Slow models are timed less often. Where a model is compared, it is timed in that.
        """
        known = self._contests
        untuned = sum(w * known[t].latency for t, w in work.weights.items() if t in known)
        libraries, options = 1 + work.graphs, self.options
        timing = min(options.model_seconds, (libraries + 1) * options.model_repeats * untuned)
        timing = 0.0 if work.comparing and not work.graphs else timing
        compiling = work.imports * work.again + libraries * options.tuned_compiling * work.compiling
        checking = (libraries + 1 + work.inside) * work.checking
        profile = max(options.profile_seconds, untuned) * work.inside
        return compiling + checking + timing + libraries * untuned + profile


def _mean(field: str, records: Sequence[Record]) -> float:
    return fmean(getattr(record, field) for record in records) if records else 0.0
