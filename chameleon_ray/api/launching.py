"""The choice of how a tuned model's kernels are launched: one by one, or as recorded graphs.

A GPU's kernels may take less time than their launches. A model can record its launches in its first
run and repeat them all at once; whether that is faster is measured.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from chameleon_ray.api.failed_step import StepError
from chameleon_ray.api.model_process import ModelProcess
from chameleon_ray.compiler.prepared import Prepared
from chameleon_ray.errors import UserError
from chameleon_ray.measure.bench import MAIN, Bench
from chameleon_ray.options import Confirming
from chameleon_ray.report.result import Latency, Launching, Verified


@dataclass(frozen=True)
class TunedLibrary:
    """A tuned model's library that was verified.

    Attributes:
        verified: Comparison of its outputs with the source model's.
        tuned: Latency of the library; None where it was not timed.
        untuned: Latency of the untuned model's library, in turns with it; None where not timed.
        launching: How its kernels are launched; None where there is only one way.
    """

    verified: Verified
    tuned: Latency | None = None
    untuned: Latency | None = None
    launching: Launching | None = None


@dataclass(frozen=True)
class Libraries:
    """Files of one model's libraries.

    Attributes:
        tuned: The tuned model, which is compiled already; the better library is here in the end.
        graphs: The tuned model with graphs, which is not there before or afterwards.
        untuned: The untuned model, which is compiled already.
        entry: Function of the tuned library that is the model.
    """

    tuned: Path
    graphs: Path
    untuned: Path
    entry: str = MAIN


def settled(
    libraries: Libraries,
    prepared: Prepared,
    process: ModelProcess,
    bench: Bench | None,
    timing: Callable[[], Confirming],
) -> TunedLibrary:
    """Verifies a tuned model, and keeps the faster way of launching its kernels.

    Where there are two ways, all libraries are timed in turns, by one clock; else nothing is timed.
    A library with graphs that fails or is wrong is left out, and the reason is kept.

    Args:
        libraries: Files of the libraries.
        prepared: The imported model: its layers, and examples that all have outputs.
        process: Process that holds the model, and has just compiled it tuned.
        bench: Runs whole models on the device tuned for; None where the process does.
        timing: Returns the settings of comparing and timing; called when either begins.

    Raises:
        UserError: The tuned library cannot be run.
    """
    patience = timing().checking_seconds
    entry, fault = libraries.entry, ""
    verified = process.check(libraries.tuned, prepared, bench, patience, entry=entry)
    if verified.ok and entry == MAIN:
        try:
            found = _faster(libraries, prepared, process, bench, timing, verified)
            if isinstance(found, TunedLibrary):
                return found
            fault = found
        except UserError as error:  # in some way that may be that of graphs alone
            why = error.why if isinstance(error, StepError) else str(error)
            fault = f"they failed ({why.rstrip('.')})"
        finally:
            libraries.graphs.unlink(missing_ok=True)
    return TunedLibrary(verified, launching=Launching(False, None, fault) if fault else None)


def timed(
    found: TunedLibrary,
    libraries: Libraries,
    prepared: Prepared,
    process: ModelProcess,
    bench: Bench | None,
    options: Confirming,
) -> TunedLibrary:
    """Times a settled library in turns with the untuned one, unless that was done before.

    Raises:
        UserError: The tuned or the untuned library cannot be run.
    """
    if found.tuned is not None:
        return found
    files, entries = (libraries.tuned, libraries.untuned), (libraries.entry, MAIN)
    seconds = process.duel(files, prepared.inputs, options, bench, entries)
    tuned, untuned = map(Latency.of, seconds)
    return replace(found, tuned=tuned, untuned=untuned)


def _faster(
    libraries: Libraries,
    prepared: Prepared,
    process: ModelProcess,
    bench: Bench | None,
    timing: Callable[[], Confirming],
    verified: Verified,
) -> TunedLibrary | str:
    """Compiles the tuned model with graphs, and keeps the faster library.

    Returns:
        That library, or why the one with graphs is of no use. The reason is empty where there is
        nothing to record.

    Raises:
        UserError: The library with graphs cannot be compiled, run or timed.
    """
    if not process.compile_graphs(libraries.graphs):
        return ""
    tried = process.check(libraries.graphs, prepared, bench, replayed=True)
    if not tried.ok:
        return f"they are wrong ({tried.fault})"
    files = (libraries.graphs, libraries.tuned, libraries.untuned)
    seconds = process.duel(files, prepared.inputs, timing(), bench)
    graphs, tuned, untuned = map(Latency.of, seconds)
    if graphs.seconds >= tuned.seconds:
        launching = Launching(False, graphs.seconds / tuned.seconds)
        return TunedLibrary(verified, tuned, untuned, launching)
    libraries.graphs.replace(libraries.tuned)
    return TunedLibrary(tried, graphs, untuned, Launching(True, tuned.seconds / graphs.seconds))
