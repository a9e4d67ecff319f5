"""The processes that compile and run one model, on this machine or on runners."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import ExitStack, nullcontext
from math import inf
from pathlib import Path
from typing import Any

import numpy as np

from chameleon_ray.api.failed_step import StepError, advice, failure
from chameleon_ray.compiler import model_jobs
from chameleon_ray.compiler.codegen.builder import SINGLE_THREADED
from chameleon_ray.compiler.kind import TargetKind
from chameleon_ray.compiler.prepared import Prepared
from chameleon_ray.compiler.runtime.model_bench import ModelBench
from chameleon_ray.compiler.runtime.tolerance import ACCUMULATION, TOLERANCE
from chameleon_ray.errors import Stopped, UserError
from chameleon_ray.graph.footprint import Footprint
from chameleon_ray.ledger import Account, Ledger
from chameleon_ray.measure.bench import (
    MAIN,
    Bench,
    Check,
    Duel,
    Outputs,
    Presence,
    Profile,
    Question,
    Verdict,
)
from chameleon_ray.measure.isolate import Ending, Isolate, IsolateError, Outcome, Setting
from chameleon_ray.options import Confirming, Request, Scheduling
from chameleon_ray.report.result import UNTUNED, Verified
from chameleon_ray.space import Config


class ModelProcess:
    """Imports, compiles, compares and times one model at a time, in children bound to ``cores``."""

    def __init__(
        self, kind: TargetKind, cores: tuple[int, ...], stack: ExitStack, instances: int = 1
    ) -> None:
        """Starts the process that is to hold models.

        Args:
            kind: Kind of the models' targets.
            cores: Cores that models run on.
            stack: Stack that ends the process.
            instances: Number of copies that share the cores when a model is timed.
        """
        self.kind, self.cores = kind, cores
        self.threads = max(len(cores) // instances, 1)
        self._ledger, self._closed = Ledger(), False
        handler = "chameleon_ray.compiler.model_host:model_host"
        self._host = Isolate(Setting(handler, kind, cores, environment=SINGLE_THREADED))
        self._bench = ModelBench(kind, cores, instances)
        self._held: Request | None = None
        self._prepared: Prepared | None = None
        self._functions: Mapping[str, str] = {}
        for child in (self._host, self._bench):
            stack.callback(self._close, child)

    def prepare(self, request: Request) -> Prepared:
        """Imports a model and extracts its tasks, unless the process holds it already.

        A model that was held before is let go: weights of several may not fit.

        Raises:
            UserError: The model or the target cannot be used.
        """
        if (known := self._prepared) is not None and self.holds(request):
            return known
        if self._held is not None:
            self.clear()
        self._held = request
        memory = Scheduling() if request.memory_aware else None
        prepared: Prepared = self._imported(model_jobs.Prepare.of(request, self.threads, memory))
        self._prepared = prepared
        return prepared

    def holds(self, request: Request) -> bool:
        """Whether the model of a request is in memory, imported, and its process was not lost."""
        return self._prepared is not None and self._held == request and self._host.alive

    @property
    def lost(self) -> bool:
        """Whether the process that held a model has ended, as the system may kill it."""
        return self._prepared is not None and not self._host.alive

    def clear(self) -> None:
        """Lets the model go, and all memory that it took."""
        self._held = self._prepared = None
        self._host.renew(1)

    def weigh(self, request: Request, options: Scheduling) -> Footprint:
        """Imports the model and finds out how much memory it takes in several orders.

        Raises:
            UserError: The model or the target cannot be used, or its memory cannot be planned.
        """
        job = model_jobs.Weigh(model_jobs.Prepare.of(request, self.threads, options))
        footprint: Footprint = self._imported(job)
        return footprint

    def compile_tuned(
        self, winners: Mapping[str, tuple[Config, float]], path: Path, database: Path
    ) -> set[str]:
        """Writes the tuned library and database; returns the digests of the applied winners."""
        return self._applied(model_jobs.CompileTuned(winners, path, database))

    def schedule(
        self, winners: Mapping[str, tuple[Config, float]], path: Path, database: Path
    ) -> set[str]:
        """Schedules the model and keeps it in a file; returns the digests of applied winners."""
        return self._applied(model_jobs.Schedule(winners, path, database))

    def compile_entries(self, parts: Mapping[str, Path], target: str, path: Path) -> None:
        """Writes one library of scheduled models, by the names of their functions in it."""
        self.clear()
        self._value("apply", self._hosted, model_jobs.CompileEntries(parts, target, path))

    def compile_graphs(self, path: Path) -> bool:
        """Writes a library of the model just tuned that launches its kernels as graphs.

        Returns:
            Whether there is anything to record; no library is written where there is not.
        """
        return bool(self._value("apply", self._hosted, model_jobs.CompileGraphs(path)))

    def compile_untuned(self, path: Path) -> None:
        """Writes the library that TVM makes of the model without tuning."""
        self._value("apply", self._hosted, model_jobs.CompileUntuned(path))

    def expect_questions(self) -> None:
        """Starts the child that runs models, so that the first question finds it ready."""
        if self._closed:
            raise Stopped
        self._bench.start()

    def expose(self, request: Request, copy: Path) -> dict[str, str]:
        """Writes a copy of an ONNX file that gives the values inside as outputs; see ``expose``.

        Raises:
            UserError: The file cannot be copied.
        """
        job = model_jobs.Expose(Path(request.model), copy)
        return dict(self._value("verify", self._hosted, job))

    def device(self) -> str | None:
        """Returns the name of the GPU that runs models here, empty for a CPU; None without any."""
        return None if (name := self._answer(Presence(), None)) is None else str(name)

    def outputs(
        self,
        library: Path,
        inputs: tuple[np.ndarray, ...],
        bench: Bench | None = None,
        entry: str = MAIN,
    ) -> tuple[np.ndarray, ...]:
        """Returns a compiled model's outputs; runs it with ``bench``, or here if that is None."""
        question = Outputs((str(library),), inputs, entries=(entry,))
        outputs: tuple[np.ndarray, ...] = self._answer(question, bench)
        return outputs

    def check(
        self,
        library: Path,
        prepared: Prepared,
        bench: Bench | None = None,
        patience: float = inf,
        replayed: bool = False,
        entry: str = MAIN,
    ) -> Verified:
        """Compares a compiled model's outputs with those to expect.

        Args:
            library: Library of the compiled model.
            prepared: Import of the source model, whose examples all have outputs.
            bench: Bench that runs the library; None where this process does.
            patience: Seconds of running after which no further example is begun.
            replayed: Whether the library records launches, and what it replays is compared, too.
            entry: Function of the library that is the model.
        """
        names, precision = prepared.outputs, prepared.precision
        asked = (prepared.examples, precision, names, patience, replayed)
        check = Check((str(library),), *asked, entries=(entry,))
        verdict: Verdict = self._answer(check, bench)
        return Verified(
            verdict.ok,
            verdict.max_abs_err,
            verdict.max_rel_err,
            prepared.reference_name or UNTUNED,
            independent=prepared.reference_name is not None,
            fault=verdict.fault,
            output=verdict.output,
            examples=verdict.examples,
            precision=precision.name,
            tolerance=ACCUMULATION * TOLERANCE.get(precision.name, 0.0),
        )

    def duel(
        self,
        libraries: tuple[Path, ...],
        inputs: tuple[np.ndarray, ...],
        options: Confirming,
        bench: Bench | None = None,
        entries: tuple[str, ...] = (),
    ) -> list[tuple[float, ...]]:
        """Times compiled models in turns, with ``bench`` or here; returns latencies in seconds."""
        duel = Duel(tuple(map(str, libraries)), inputs, options, entries=entries)
        return list(self._answer(duel, bench))

    def profile(
        self,
        libraries: Sequence[Path],
        inputs: tuple[np.ndarray, ...],
        seconds: float,
        bench: Bench | None = None,
    ) -> list[dict[str, float]]:
        """Times the layers of the model that was tuned last inside it, on a CPU.

        Args:
            libraries: Libraries of the model, of equal lowerings, that take turns.
            inputs, seconds: Inputs of the model, and for how long each library is run.
            bench: Bench that runs the libraries; None where this process does.

        Returns:
            For each library, seconds of one execution of each layer by its digest.
        """
        names = self._functions
        found = self._answer(Profile(tuple(map(str, libraries)), inputs, seconds), bench)
        return [{names[name]: one[name] for name in one.keys() & names.keys()} for one in found]

    def account(self, began: float) -> Account:
        """Returns the account of the processes' time since ``began`` (``perf_counter``)."""
        return self._ledger.account("model", self._ledger.when(began))

    def _imported(self, job: model_jobs.Prepare | model_jobs.Weigh) -> Any:
        """Returns what a job gives that imports a model, whose code may do anything to its process.

        Raises:
            UserError: The model or the target cannot be used, or the process did not survive it.
        """
        try:
            return self._value("import", self._hosted, job)
        except StepError as error:
            spec = (job.prepare if isinstance(job, model_jobs.Weigh) else job).spec
            raise UserError(
                f"{spec} cannot be imported ({error.why}); {advice(spec, error)}."
            ) from None

    def _applied(self, job: model_jobs.Won) -> set[str]:
        """Has winners applied; returns their digests, and keeps which layers functions are."""
        tuned: model_jobs.Tuned = self._value("apply", self._hosted, job)
        self._functions = tuned.functions
        return set(tuned.applied)

    def _hosted(self, job: Any) -> Outcome:
        """Has the process that holds the model do a job."""
        return self._host.call(job, Confirming.host_timeout)

    def _answer(self, question: Question, bench: Bench | None) -> Any:
        """Answers a question, by ``bench`` or here; a bench's time is booked by its own process."""
        if bench is not None:
            return self._value("", bench.ask, question)
        return self._value("verify", self._bench.ask, question)

    def _value(self, phase: str, do: Callable[[Any], Outcome], job: Any) -> Any:
        """Returns a job's value, and books its time under a phase unless that is empty.

        Raises:
            UserError: The job failed; the text is a sentence for the user.
            Stopped: Another thread closed the process before the job was done.
        """
        try:
            self._demand_open()
            with self._ledger.phase(phase) if phase else nullcontext():
                outcome = do(job)
        except CancelledError:
            raise Stopped from None
        except IsolateError:
            self._demand_open()
            raise
        self._demand_open()
        if outcome.ending is Ending.OK:
            return outcome.value
        raise failure(job, outcome)

    def _demand_open(self) -> None:
        if self._closed:
            raise Stopped

    def _close(self, child: Isolate | ModelBench) -> None:
        self._closed = True
        child.close()
