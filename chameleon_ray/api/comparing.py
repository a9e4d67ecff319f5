"""Compares a tuned model with what its user would run instead, in turns on the same cores."""

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from importlib.machinery import PathFinder
from pathlib import Path

from chameleon_ray.compiler.frontend.frameworks import FRAMEWORKS
from chameleon_ray.compiler.frontend.frameworks.source import Source
from chameleon_ray.compiler.kind import TargetKind
from chameleon_ray.compiler.runtime.compared_library import Library
from chameleon_ray.compiler.runtime.model_bench import magnitude, verdict
from chameleon_ray.errors import Stopped
from chameleon_ray.measure.bench import MAIN
from chameleon_ray.measure.example import Arrays
from chameleon_ray.measure.frameworks import Framework, FrameworkError, in_turns
from chameleon_ray.measure.isolate import Setting
from chameleon_ray.measure.precision import Precision
from chameleon_ray.options import Comparing, Request
from chameleon_ray.report.result import Compared, Latency

TUNED = ""
"""Name of the tuned model among the frameworks."""
HANDLERS = {
    True: "chameleon_ray.compiler.runtime.compared_library:hosted",
    False: "chameleon_ray.compiler.frontend.frameworks:hosted",
}
"""Handlers of the processes, by whether it is the tuned model's."""


@dataclass(frozen=True)
class Comparison:
    """What came of a comparison.

    Attributes:
        tuned: Latency of the tuned model; None where nothing was timed beside it.
        others: What came of each framework, in the order asked for.
    """

    tuned: Latency | None = None
    others: tuple[Compared, ...] = ()


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
        self._loading = tuple({*cores, *loading})
        self._running: list[Framework] = []
        self._closed = False
        stack.callback(self.close)

    def compare(
        self,
        request: Request,
        library: Path,
        arrays: Arrays,
        seconds: float | None = None,
        entry: str = MAIN,
        precision: Precision | None = None,
    ) -> Comparison:
        """Times a tuned model in turns with the frameworks that a request names.

        One that cannot run it in time, or computes something else, is left out with the reason.

        Args:
            request: Request that names the model and the frameworks.
            library: Library of the tuned model.
            arrays: Values of the model's inputs, in order.
            seconds: Most seconds for all of it; None for as long as the options say.
            entry: Function of the library that is the model.
            precision: Precision of the tuned model; None where outputs are not looked at.

        Raises:
            Stopped: Another thread closed the comparer before it was done.
        """
        options = request.comparing
        most = options.starting + options.seconds if seconds is None else seconds
        if most < options.least_seconds:
            return left_out(request.compare, "the time was up")
        source = self._source(request, arrays)
        tuned = Library(self._kind, str(library), arrays, self._cores, self._instances, entry)
        faults = {name: fault for name in request.compare if (fault := unfit(name, source))}
        end = time.perf_counter() + most
        if not (names := [name for name in dict.fromkeys(request.compare) if name not in faults]):
            return self._sum_up(request.compare, {}, (), faults)
        with ExitStack() as stack:
            started = self._start(names, tuned, source, stack)
            starting = min(options.starting, most - options.least_seconds / 2)
            ready = agreeing(self._loaded(started, starting, faults), arrays, precision, faults)
            medians, lost = self._timed(ready, options, end)
        return self._sum_up(request.compare, medians, ready, {**faults, **lost})

    def _source(self, request: Request, arrays: Arrays) -> Source:
        """Returns the model as its user has it."""
        about = (request.model, request.inputs, request.examples, request.seed)
        return Source(*about, arrays, self._cores, self._kind.owns_gpu, self._instances)

    def close(self) -> None:
        """Ends everything that was started; a comparison in another thread is stopped."""
        self._closed = True
        for one in self._running:
            one.close()

    def _start(
        self, names: Sequence[str], tuned: Library, source: Source, stack: ExitStack
    ) -> list[Framework]:
        """Starts the processes of the tuned model and of all frameworks."""
        for name in (TUNED, *names):
            framework = started(name, source, tuned, self._loading)
            self._running.append(framework)
            stack.callback(self._end, framework)
        self._demand_open()
        return list(self._running)

    def _end(self, framework: Framework) -> None:
        self._running.remove(framework)
        framework.close()

    def _loaded(
        self, started: Sequence[Framework], seconds: float, faults: dict[str, str]
    ) -> list[Framework]:
        """Loads the model everywhere at once; returns the frameworks that could."""
        with ThreadPoolExecutor(len(started)) as threads:
            loading = [threads.submit(partial(one.load, seconds)) for one in started]
        ready = []
        for one, done in zip(started, loading, strict=True):
            try:
                done.result()
            except FrameworkError as error:
                faults[one.name] = str(error)
            else:
                ready.append(one)
        self._demand_open()
        return ready

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
        timed = any(one.latency for one in others)
        return Comparison(Latency.of(own) if own and timed else None, tuple(others))

    def _demand_open(self) -> None:
        if self._closed:
            raise Stopped


def started(name: str, source: Source, tuned: Library, loading: tuple[int, ...]) -> Framework:
    """Starts the process of a framework, or that of the tuned model.

    Args:
        name: Name of the framework; ``TUNED`` for the tuned model.
        source: The model as its user has it.
        tuned: The tuned model.
        loading: Cores that the model is loaded on.
    """
    own = name == TUNED
    environment = tuned.kind.environment(source.threads)
    argument = tuned if own else (name, source)
    setting = Setting(HANDLERS[own], argument, cores=loading, environment=environment)
    return Framework(name, setting, source.cores)


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
