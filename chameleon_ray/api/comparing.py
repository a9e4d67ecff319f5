"""Compares a tuned model with what its user would run instead, in turns on the same cores."""

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from importlib.machinery import PathFinder
from pathlib import Path

from chameleon_ray.api.contestants import TUNED, Contestants
from chameleon_ray.compiler.frontend.frameworks import FRAMEWORKS
from chameleon_ray.compiler.frontend.frameworks.source import Source
from chameleon_ray.compiler.kind import TargetKind
from chameleon_ray.compiler.runtime.compared_library import Library
from chameleon_ray.compiler.runtime.model_bench import magnitude, verdict
from chameleon_ray.errors import Stopped
from chameleon_ray.measure.bench import MAIN
from chameleon_ray.measure.example import Arrays
from chameleon_ray.measure.frameworks import Framework, in_turns
from chameleon_ray.measure.precision import Precision
from chameleon_ray.options import Comparing, Request
from chameleon_ray.report.result import UNTUNED, Compared, Latency


@dataclass(frozen=True)
class Comparison:
    """What came of a comparison; all latencies are of the same turns, unless it was completed.

    Attributes:
        tuned: Latency of the tuned model; None where nothing was timed beside it.
        others: What came of each framework, in the order asked for; and of the untuned model, where
            it could not be timed beside the tuned one.
        untuned: Latency of the model without tuning; None where it was not timed.
    """

    tuned: Latency | None = None
    others: tuple[Compared, ...] = ()
    untuned: Latency | None = None

    @property
    def complete(self) -> bool:
        """Whether the tuned and the untuned model were both timed."""
        return self.tuned is not None and self.untuned is not None

    def completed(self, tuned: Latency | None, untuned: Latency | None) -> "Comparison":
        """Returns the same with latencies of a duel for what was not timed in the turns.

        Args:
            tuned, untuned: Latencies of both models in a duel.
        """
        others = tuple(
            replace(one, fault=f"{one.fault}; it took turns with the tuned model alone")
            if one.name == UNTUNED
            else one
            for one in self.others
        )
        return Comparison(self.tuned or tuned, others, self.untuned or untuned)


@dataclass(frozen=True)
class _Begun:
    """Frameworks that load the model of a request, and why others do not."""

    request: Request
    contestants: Contestants
    faults: dict[str, str]
    names: tuple[str, ...]


class Comparer:
    """Times tuned models in turns with frameworks, on the cores that models are timed on."""

    def __init__(
        self,
        kind: TargetKind,
        cores: tuple[int, ...],
        stack: ExitStack,
        loading: tuple[int, ...] = (),
        instances: int = 1,
    ) -> None:
        """Prepares for models of a kind of target.

        Args:
            kind: Kind of the models' targets.
            cores: Cores that models are timed on.
            stack: Stack that ends what is started.
            loading: Cores that they may be loaded on, too.
            instances: Number of copies that share the cores when a model is timed.
        """
        self._kind, self._cores, self._instances = kind, cores, instances
        self._loading, self._beside = tuple({*cores, *loading}), loading or cores
        self._begun: _Begun | None = None
        self._closed = False
        stack.callback(self.close)

    def begin(self, request: Request, arrays: Arrays, untuned: Path | None = None) -> None:
        """Has the frameworks that a request names load its model, while it is compiled.

        Those that were begun for another request are ended.

        Args:
            request: Request that names the model and the frameworks.
            arrays: Values of the model's inputs, in order.
            untuned: Library of the model without tuning, to be timed, too; None where there is
                none.

        Raises:
            Stopped: Another thread closed the comparer.
        """
        self._begin(request, arrays, untuned, self._beside)

    def compare(
        self,
        request: Request,
        library: Path,
        arrays: Arrays,
        seconds: float | None = None,
        entry: str = MAIN,
        precision: Precision | None = None,
        untuned: Path | None = None,
    ) -> Comparison:
        """Times a tuned model in turns with the frameworks that a request names.

        One that cannot run it in time, or computes something else, is left out with the reason.
        Where the frameworks were begun, they are given some time in any case.

        Args:
            request: Request that names the model and the frameworks.
            library: Library of the tuned model.
            arrays: Values of the model's inputs, in order.
            seconds: Most seconds for all of it; None for as long as the options say.
            entry: Function of the library that is the model.
            precision: Precision of the tuned model; None where outputs are not looked at.
            untuned: Library of the model without tuning, where it was not begun.

        Raises:
            Stopped: Another thread closed the comparer before it was done.
        """
        options, begun = request.comparing, self._begun
        most = options.starting + options.seconds if seconds is None else seconds
        if begun is not None and begun.request == request:
            most = max(most, options.begun_seconds)
        elif most < options.least_seconds:
            return left_out(request.compare, "the time was up")
        else:
            begun = self._begin(request, arrays, untuned, self._loading)
        try:
            return self._compared(begun, self._library(library, arrays, entry), precision, most)
        finally:
            self.end()
            self._demand_open()  # a close is what broke it, if anything did

    def close(self) -> None:
        """Ends everything that was started; a comparison in another thread is stopped."""
        self._closed = True
        self.end()

    def end(self) -> None:
        """Ends what was begun, if anything was."""
        begun, self._begun = self._begun, None
        if begun is not None:
            begun.contestants.close()

    def _begin(
        self, request: Request, arrays: Arrays, untuned: Path | None, cores: tuple[int, ...]
    ) -> _Begun:
        """Starts the processes of all frameworks, and that of the untuned library."""
        self.end()
        source = self._source(request, arrays)
        faults = {name: fault for name in request.compare if (fault := unfit(name, source))}
        names = tuple(name for name in dict.fromkeys(request.compare) if name not in faults)
        contestants = Contestants(source, self._kind, request.comparing.starting)
        begun = self._begun = _Begun(request, contestants, faults, names)
        self._demand_open()  # a close from now on ends these
        wanted: dict[str, Library | None] = dict.fromkeys(names)
        if names and untuned is not None:
            wanted[UNTUNED] = self._library(untuned, arrays, MAIN)
        contestants.start(wanted, cores)
        return begun

    def _compared(
        self, begun: _Begun, tuned: Library, precision: Precision | None, seconds: float
    ) -> Comparison:
        """Times a library in turns with what was begun; see ``compare``."""
        asked, faults, end = begun.request.compare, begun.faults, time.perf_counter() + seconds
        if not begun.names:
            return self._sum_up(asked, {}, (), faults)
        begun.contestants.start({TUNED: tuned}, self._loading)
        self._demand_open()
        options = begun.request.comparing
        starting = min(options.starting, seconds - options.least_seconds / 2)
        loaded = begun.contestants.loaded(starting, faults)
        self._demand_open()
        ready = agreeing(loaded, tuned.arrays, precision, faults)
        medians, lost = self._timed(ready, options, end)
        return self._sum_up(asked, medians, ready, {**faults, **lost})

    def _source(self, request: Request, arrays: Arrays) -> Source:
        """Returns the model as its user has it."""
        about = (request.model, request.inputs, request.examples, request.seed)
        return Source(*about, arrays, self._cores, self._kind.owns_gpu, self._instances)

    def _library(self, path: Path, arrays: Arrays, entry: str) -> Library:
        return Library(self._kind, str(path), arrays, self._cores, self._instances, entry)

    def _timed(
        self, ready: Sequence[Framework], options: Comparing, end: float
    ) -> tuple[Mapping[str, list[float]], Mapping[str, str]]:
        """Times those that are ready, unless the tuned model has no other to be compared with."""
        if len(ready) < 2 or ready[0].name != TUNED:
            return {}, {}
        found = in_turns(ready, options, min(options.seconds, end - time.perf_counter()))
        self._demand_open()
        return found

    def _sum_up(
        self,
        asked: Sequence[str],
        medians: Mapping[str, list[float]],
        ready: Sequence[Framework],
        faults: Mapping[str, str],
    ) -> Comparison:
        versions = {one.name: one.version for one in ready}
        own, threads = medians.get(TUNED), len(self._cores) // self._instances
        others = []
        for name in dict.fromkeys(asked):
            title, times = FRAMEWORKS[name].title, medians.get(name)
            if own and times:
                latency = Latency.of(times)
                others.append(Compared(title, versions[name], latency, threads, self._instances))
            else:
                why = faults.get(name) or faults.get(TUNED) or "it was not timed"
                others.append(Compared(title, versions.get(name, ""), fault=why))
        untuned = medians.get(UNTUNED)
        if not own or not (untuned or any(one.latency for one in others)):
            return Comparison(None, tuple(others))
        if UNTUNED in faults:
            others.append(Compared(UNTUNED, fault=faults[UNTUNED]))
        return Comparison(Latency.of(own), tuple(others), Latency.of(untuned) if untuned else None)

    def _demand_open(self) -> None:
        if self._closed:
            raise Stopped


def agreeing(
    ready: Sequence[Framework],
    arrays: Arrays,
    precision: Precision | None,
    faults: dict[str, str],
) -> list[Framework]:
    """Returns the frameworks whose outputs are the tuned model's, as near as in verification.

    Args:
        ready: Frameworks that have run the model once; the first one is the tuned model, or it is
            not among them.
        arrays: Values of the inputs.
        precision: Precision of the tuned model; None where all are taken to agree.
        faults: Is told why others are left out.
    """
    if precision is None or not ready or ready[0].name != TUNED:
        return list(ready)
    tuned, scale, found = ready[0], magnitude(arrays), [ready[0]]
    for one in ready[1:]:
        if one.name == UNTUNED:  # which was verified before anything was tuned
            found.append(one)
            continue
        compared = verdict(one.outputs, tuned.outputs, precision, scale=scale)
        if compared.ok:
            found.append(one)
        else:
            faults[one.name] = f"it computes something else, as {compared.fault}"
    return found


def left_out(names: Sequence[str], why: str) -> Comparison:
    """Returns a comparison in which no framework was timed, for one reason."""
    return Comparison(
        None, tuple(Compared(FRAMEWORKS[name].title, fault=why) for name in dict.fromkeys(names))
    )


def unfit(name: str, source: Source) -> str:
    """Returns why a framework cannot run a model, as far as that is known before; or nothing."""
    package = "torch" if FRAMEWORKS[name].torch else name
    if PathFinder.find_spec(package) is None:  # also where a process keeps it from itself
        return f"{package} is not installed"
    if FRAMEWORKS[name].torch and not source.is_torch:
        return f"the model is {Path(source.model).suffix or 'none'}, not torch's"
    return ""
