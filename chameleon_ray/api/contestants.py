"""The contestants of a comparison: processes that each load one model, to be timed in turns."""

import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path
from threading import Lock

from chameleon_ray.compiler.frontend.frameworks.source import Source
from chameleon_ray.compiler.kind import TargetKind
from chameleon_ray.compiler.runtime.compared_library import Library
from chameleon_ray.errors import Stopped
from chameleon_ray.measure.frameworks import Framework, FrameworkError
from chameleon_ray.measure.free_memory import free_memory
from chameleon_ray.measure.isolate import Setting
from chameleon_ray.options import Request

TUNED = ""
"""Name of the tuned model among the contestants; the untuned one's is ``UNTUNED``."""
HANDLERS = {
    True: "chameleon_ray.compiler.runtime.compared_library:hosted",
    False: "chameleon_ray.compiler.frontend.frameworks:hosted",
}
"""Handlers of the processes, by whether they run a library."""


def started(
    name: str,
    source: Source,
    kind: TargetKind,
    loading: tuple[int, ...],
    library: Library | None = None,
) -> Framework:
    """Starts the process of a framework, or of a library that TVM runs.

    Args:
        name: Name of the framework, or of the contestant.
        source: The model as its user has it.
        kind: Kind of the models' targets.
        loading: Cores that the model is loaded on.
        library: The library; None for a framework.
    """
    environment = kind.environment(source.threads)
    handler, argument = HANDLERS[library is not None], library or (name, source)
    setting = Setting(handler, argument, cores=loading, environment=environment)
    return Framework(name, setting, source.cores)


class Contestants:
    """The processes of one comparison, which load the model while other work goes on.

    Another thread may close them at any time; none is started afterwards.
    """

    def __init__(self, source: Source, kind: TargetKind, patience: float) -> None:
        """Begins without any.

        Args:
            source: The model as its user has it.
            kind: Kind of the models' targets.
            patience: Most seconds for one of them to load the model.
        """
        self._source, self._kind, self._patience = source, kind, patience
        self._loading = dict[Framework, Future[None]]()
        self._began = dict[str, float]()
        self._lock, self._closed = Lock(), False
        self._threads = ThreadPoolExecutor(thread_name_prefix="loading")

    def start(self, libraries: Mapping[str, Library | None], loading: tuple[int, ...]) -> None:
        """Starts contestants by their names, each with its library, on some cores.

        Raises:
            Stopped: They were closed.
        """
        for name, library in libraries.items():
            with self._lock:  # so that a close ends what has just been started, too
                if self._closed:
                    raise Stopped
                self._began[name] = time.perf_counter()
                one = started(name, self._source, self._kind, loading, library)
                self._loading[one] = self._threads.submit(partial(one.load, self._patience))

    def loaded(self, seconds: float, faults: dict[str, str]) -> list[Framework]:
        """Returns those that have loaded the model, the tuned one first if it is among them.

        Args:
            seconds: Seconds after which no other is waited for.
            faults: Is told why others are left out.

        Raises:
            Stopped: They were closed meanwhile.
        """
        wait(self._loading.values(), seconds)
        ready = []
        for one, done in self._loading.items():
            if self._closed:
                raise Stopped
            try:
                done.result(0)
            except TimeoutError:
                spent = time.perf_counter() - self._began[one.name]
                faults[one.name] = f"it did not load the model within {spent:.1f} s"
                one.close()
            except FrameworkError as error:
                faults[one.name] = str(error)
            else:
                ready.append(one)
        return sorted(ready, key=lambda one: one.name != TUNED)

    def close(self) -> None:
        """Ends all processes, side by side; what is asked of them fails."""
        self._closed = True
        with self._lock:  # whatever is being started is among them then
            some = list(self._loading)
        if some:
            with ThreadPoolExecutor(len(some), "closing") as threads:
                list(threads.map(lambda one: one.close(), some))
        self._threads.shutdown()


def begins(request: Request, kind: TargetKind, elsewhere: bool) -> bool:
    """Whether contestants may load a model while it is compiled: nothing is timed meanwhile.

    Args:
        request: Request that names the model and the frameworks.
        kind: Kind of the model's target. One with two ways of launching is timed to choose.
        elsewhere: Whether runners run the whole model, which is not compared then.
    """
    return bool(request.compare) and kind.graphs is None and not elsewhere


def has_room(request: Request, untuned: Path) -> bool:
    """Whether there is memory for contestants beside a compilation, as far as that is known.

    Args:
        request: Request that names the frameworks.
        untuned: Library of the model without tuning, which has all its weights.
    """
    options, count = request.comparing, len(request.compare) + 1
    try:
        each = options.process_bytes + options.copies * untuned.stat().st_size
    except OSError:
        return True  # who runs it says that it is missing
    free = free_memory()
    return free is None or count * each < free
