"""The contestants of a comparison: processes that each load one model, to be timed in turns."""

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial

from chameleon_ray.compiler.frontend.frameworks.source import Source
from chameleon_ray.compiler.kind import TargetKind
from chameleon_ray.compiler.runtime.compared_library import Library
from chameleon_ray.measure.frameworks import Framework, FrameworkError
from chameleon_ray.measure.isolate import Setting

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
    """The processes of one comparison, which load the model while other work goes on."""

    def __init__(self, source: Source, kind: TargetKind, patience: float) -> None:
        """Begins without any.

        Args:
            source: The model as its user has it.
            kind: Kind of the models' targets.
            patience: Most seconds for one of them to load the model.
        """
        self._source, self._kind, self._patience = source, kind, patience
        self._loading = dict[Framework, Future[None]]()
        self._threads = ThreadPoolExecutor(thread_name_prefix="loading")

    def start(self, libraries: Mapping[str, Library | None], loading: tuple[int, ...]) -> None:
        """Starts contestants by their names, each with its library, on some cores."""
        for name, library in libraries.items():
            one = started(name, self._source, self._kind, loading, library)
            self._loading[one] = self._threads.submit(partial(one.load, self._patience))

    def loaded(self, seconds: float, faults: dict[str, str]) -> list[Framework]:
        """Returns those that have loaded the model, the tuned one first if it is among them.

        Args:
            seconds: Seconds after which no other is waited for.
            faults: Is told why others are left out.
        """
        wait(self._loading.values(), seconds)
        ready = []
        for one, done in self._loading.items():
            try:
                done.result(0)
            except TimeoutError:
                faults[one.name] = f"it did not load the model within {seconds:.1f} s"
                one.close()
            except FrameworkError as error:
                faults[one.name] = str(error)
            else:
                ready.append(one)
        return sorted(ready, key=lambda one: one.name != TUNED)

    def close(self) -> None:
        """Ends all processes; what is asked of them fails."""
        for one in self._loading:
            one.close()
        self._threads.shutdown()
