"""The processes of one model: what compiles it and what runs it, here or on runners."""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from chameleon_ray.compiler import model_host
from chameleon_ray.compiler.codegen.builder import SINGLE_THREADED
from chameleon_ray.compiler.kind import TargetKind
from chameleon_ray.compiler.runtime.model_bench import ModelBench
from chameleon_ray.errors import Stopped, UserError
from chameleon_ray.graph.footprint import Footprint
from chameleon_ray.ledger import Account, Ledger, epoch
from chameleon_ray.measure.bench import Bench, Check, Duel, Outputs, Question
from chameleon_ray.measure.calibrated import Calibrated
from chameleon_ray.measure.isolate import Ending, Isolate, IsolateError, Outcome, Setting
from chameleon_ray.options import Confirming, Request, Scheduling
from chameleon_ray.pool import Lost, NoWorkers, Pool, PoolError
from chameleon_ray.report.result import Verified
from chameleon_ray.space import Config


class ModelProcess:
    """Imports, compiles, compares and times one model at a time, in children bound to ``cores``."""

    def __init__(self, kind: TargetKind, cores: tuple[int, ...], stack: ExitStack) -> None:
        """Starts the process that will hold models for targets of a kind; ``stack`` ends it."""
        self.kind, self.cores = kind, cores
        self._ledger, self._closed = Ledger(), False
        handler = "chameleon_ray.compiler.model_host:model_host"
        self._host = Isolate(Setting(handler, kind, cores, environment=SINGLE_THREADED))
        self._bench = ModelBench(kind, cores)
        self._held: Request | None = None
        self._prepared: model_host.Prepared | None = None
        for child in (self._host, self._bench):
            stack.callback(self._close, child)

    def prepare(self, request: Request) -> model_host.Prepared:
        """Imports a model and extracts its tasks, unless the process holds it already.

        A model that was held before is let go: weights of several may not fit.

        Raises:
            UserError: The model or the target cannot be used.
        """
        if self._prepared is not None and self.holds(request):
            return self._prepared
        if self._held is not None:
            self.clear()
        self._held = request
        memory = Scheduling() if request.memory_aware else None
        prepared: model_host.Prepared = self._value(
            "import", self._host.call, self._job(request, memory)
        )
        self._prepared = prepared
        return prepared

    def holds(self, request: Request) -> bool:
        """Whether the model of a request is in memory, imported."""
        return self._prepared is not None and self._held == request

    def clear(self) -> None:
        """Lets the model go, and all memory that it took."""
        self._held = self._prepared = None
        self._host.renew(1)

    def weigh(self, request: Request, options: Scheduling) -> Footprint:
        """Imports the model and finds out what memory it takes in several orders.

        Raises:
            UserError: The model or the target cannot be used, or its memory not be planned.
        """
        job = model_host.Weigh(self._job(request, options))
        footprint: Footprint = self._value("import", self._host.call, job)
        return footprint

    def _job(self, request: Request, memory: Scheduling | None) -> model_host.Prepare:
        return model_host.Prepare(
            spec=request.model,
            inputs=request.inputs,
            seed=request.seed,
            target=request.target,
            threads=len(self.cores),
            layout=self.kind.layout_of(request.layout),
            memory=memory,
            templates=request.template,
        )

    def compile_tuned(
        self, winners: Mapping[str, tuple[Config, float]], path: Path, database: Path
    ) -> set[str]:
        """Writes the tuned library and its database; the digests of the winners applied."""
        job = model_host.CompileTuned(winners, path, database)
        applied: set[str] = self._value("apply", self._host.call, job)
        return applied

    def compile_untuned(self, path: Path) -> None:
        """Writes the library that TVM makes without tuning."""
        self._value("apply", self._host.call, model_host.CompileUntuned(path))

    def outputs(
        self, library: Path, inputs: tuple[np.ndarray, ...], bench: Bench | None = None
    ) -> tuple[np.ndarray, ...]:
        """The outputs of a compiled model, run by ``bench``, or here where that is None."""
        outputs: tuple[np.ndarray, ...] = self._answer(Outputs((str(library),), inputs), bench)
        return outputs

    def check(
        self,
        library: Path,
        prepared: model_host.Prepared,
        untuned: Path,
        bench: Bench | None = None,
    ) -> Verified:
        """Compares a compiled model's outputs with the source model's.

        Args:
            library: The compiled model.
            prepared: Its source, with inputs and, where it could be run, its outputs.
            untuned: The library whose outputs are the reference where it could not.
            bench: Runs the libraries; None where this process does.
        """
        inputs, reference, against = prepared.inputs, prepared.reference, prepared.reference_name
        if reference is None:
            reference, against = self.outputs(untuned, inputs, bench), "untuned TVM"
        verdict = self._answer(Check((str(library),), inputs, reference), bench)
        return Verified(verdict.ok, verdict.max_abs_err, verdict.max_rel_err, str(against))

    def duel(
        self,
        libraries: tuple[Path, ...],
        inputs: tuple[np.ndarray, ...],
        options: Confirming,
        bench: Bench | None = None,
    ) -> list[tuple[float, ...]]:
        """Latencies in seconds of compiled models, timed in turns by ``bench``, or here."""
        duel = Duel(tuple(map(str, libraries)), inputs, options)
        latencies: list[tuple[float, ...]] = self._answer(duel, bench)
        return latencies

    def account(self, began: float) -> Account:
        """Where the time of the model's processes went since ``began`` (``perf_counter``)."""
        return self._ledger.account("model", epoch(began))

    def _answer(self, question: Question, bench: Bench | None) -> Any:
        """The answer to a question; where others answer, they book the time that it takes."""
        if bench is not None:
            return self._value("", bench.ask, question)
        return self._value("verify", self._bench.ask, question)

    def _value(self, phase: str, do: Callable[[Any], Outcome], job: Any) -> Any:
        """What a job comes to; its failure as a sentence for the user.

        Raises:
            UserError: It failed.
            Stopped: The process was closed, by another thread, before it was done.
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
        if outcome.for_user:
            raise UserError(outcome.error)
        raise UserError(f"The step {type(job).__name__} failed: {outcome.error}")

    def _demand_open(self) -> None:
        if self._closed:
            raise Stopped

    def _close(self, child: Isolate | ModelBench) -> None:
        self._closed = True
        child.close()


class RunnersBench:
    """Answers where the layers were timed; see ``measure.Bench``.

    It is asked from threads other than the event loop's, in which it is made.
    """

    def __init__(self, runners: Pool) -> None:
        """Takes runners that are ``Calibrated``."""
        self._runners, self._loop = runners, asyncio.get_running_loop()

    def ask(self, question: Question, contents: tuple[bytes, ...] = ()) -> Outcome:
        """A runner's answer; the libraries are sent along.

        Raises:
            CancelledError: Of ``concurrent.futures``: the event loop ended.
        """
        contents = contents or tuple(Path(file).read_bytes() for file in question.libraries)
        asking = self._runners.call(Calibrated.bench, question, contents)
        try:
            outcome: Outcome = asyncio.run_coroutine_threadsafe(asking, self._loop).result()
        except (PoolError, Lost, NoWorkers) as error:
            return Outcome(Ending.CRASH, error=str(error))
        return outcome

    def close(self) -> None:
        """The runners end with their pool."""
