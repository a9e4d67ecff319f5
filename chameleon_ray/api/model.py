"""One model of a session: what is asked for it, what is known of it, and how it ended."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

from chameleon_ray.api.algorithms import UserError
from chameleon_ray.api.model_process import ModelProcess
from chameleon_ray.compiler.model_host import Prepared
from chameleon_ray.database import DatabaseError
from chameleon_ray.folder import FolderError, RunFolder
from chameleon_ray.ledger import Account
from chameleon_ray.measure.isolate import IsolateError
from chameleon_ray.options import Request, Search
from chameleon_ray.record import DEFAULT, Record
from chameleon_ray.report.progress import Progress
from chameleon_ray.report.result import Latency, Outcome, RunResult, Verified
from chameleon_ray.winners import Winner

PACKAGES = ("chameleon_ray", "apache-tvm", "apache-tvm-ffi", "ray", "xgboost", "torch", "numpy")
FAULTS = (UserError, FolderError, DatabaseError, IsolateError)
"""What ends one model and leaves the others."""


@dataclass(frozen=True)
class Finish:
    """The compiled model: latencies, verification, and winners that were not applied."""

    tuned: Latency
    untuned: Latency
    verified: Verified
    lost: int


@dataclass(frozen=True)
class End:
    """What the models of a session have in common when it is over.

    Attributes:
        search: The search system.
        winners: By task digest.
        records: Of all layers and sessions.
        accounts: Of every process, the command's own first.
        busy_share: Of the time of all runners, what they executed kernels in, in the search.
        elapsed: Seconds since the command began.
    """

    search: Search
    winners: Mapping[str, Winner]
    records: Sequence[Record]
    accounts: tuple[Account, ...]
    busy_share: float
    elapsed: float

    def seconds(self, known: Prepared) -> Counter[str]:
        """Seconds by phase, summed over processes; the model's own import and extraction."""
        seconds: Counter[str] = Counter(known.seconds)
        for account in self.accounts[1:]:
            seconds.update({p: s for p, s in account.busy.items() if p not in known.seconds})
        return seconds


@dataclass
class Model:
    """A model that a session tunes, alone or with others.

    Attributes:
        request: What the user asked for.
        folder: Its run directory.
        weight: Its importance beside the session's other models.
        name: For people; the empty one is for a model that is alone.
        device: What its layers are timed on; empty until that is known.
        prepared: What is known of it once it was imported.
        finish: What came of it; None until then.
        failure: Why nothing will come of it, in a sentence.
        result: All of it, once the session is over.
    """

    request: Request
    folder: RunFolder
    weight: float = 1
    name: str = ""
    device: str = ""
    prepared: Prepared | None = None
    finish: Finish | None = None
    failure: str = ""
    result: RunResult | None = None

    @property
    def called(self) -> str:
        return self.name or "the model"

    @property
    def told(self) -> str:
        """Its failure, for people."""
        return f"{self.name}: {self.failure}" if self.name else self.failure

    @property
    def known(self) -> Prepared:
        """What is known of it; it was imported."""
        assert self.prepared is not None
        return self.prepared

    @property
    def digests(self) -> set[str]:
        """Its layers; none where it was not imported."""
        return {task.digest for task in self.prepared.tasks} if self.prepared else set()

    @contextmanager
    def trying(self, progress: Progress) -> Iterator[None]:
        """What goes wrong in the block is the model's failure, and no other's."""
        try:
            yield
        except FAULTS as error:
            self.fail(str(error), progress)

    def fail(self, why: str, progress: Progress) -> None:
        """Nothing will come of it."""
        self.failure = why
        if self.name:
            progress.note(self.told)

    def demand_success(self, records: Sequence[Record]) -> None:
        """Sees to it that there is something to choose winners from.

        Raises:
            UserError: No measurement of any of its layers succeeded.
        """
        own = self.own(records)
        if not own:
            raise UserError(
                "Nothing was measured in the time given; give more --minutes or --trials."
            )
        if not any(record.latencies for record in own):
            error, count = Counter(record.error for record in own).most_common(1)[0]
            raise UserError(f"None of {len(own)} measurements succeeded; {count} times: {error}.")

    def own(self, records: Sequence[Record]) -> list[Record]:
        """Of these, the records of its layers."""
        digests = self.digests
        return [record for record in records if record.task in digests]

    def identity(self, search: Search, layout: str) -> dict[str, Any]:
        """What makes two runs the same; the directory holds one.

        Args:
            search: The search system.
            layout: Of its convolutions, ``NHWC`` or ``NCHW``.
        """
        return {
            "model": self.known.name,
            "model_digest": self.known.digest,
            "target": self.known.target,
            "device": self.device,
            "layout": layout,
            "spaces": {task.digest: task.space.digest for task in self.known.tasks},
            "layers": {task.digest: task.name for task in self.known.tasks},
            "inputs": [[list(array.shape), str(array.dtype)] for array in self.known.inputs],
            "options": {**asdict(self.request), "search": asdict(search)},
            "versions": versions(),
        }

    def complete(
        self, process: ModelProcess, winners: Mapping[str, Winner], progress: Progress
    ) -> Finish:
        """Compiles the tuned and the untuned model, compares and times them.

        Args:
            process: Holds the model.
            winners: By task digest, those of other models too.
            progress: Told what happens.

        Raises:
            UserError: It cannot be compiled or run.
        """
        folder, inputs = self.folder, self.known.inputs
        own = {task.digest: winners[task.digest] for task in self.known.tasks}
        folder.save_winners({d: (w.config, w.latency) for d, w in own.items()})
        progress.phase(f"compiling {self.called}")
        chosen = {d: (w.config, w.latency) for d, w in own.items() if w.config != DEFAULT}
        applied = process.compile_tuned(chosen, folder.library, folder.tvm_database)
        process.compile_untuned(folder.untuned_library)
        progress.phase(f"verifying {self.called}")
        lost = len(chosen) - len(applied)
        if lost:
            progress.note(f"{lost} winners could not be applied to {self.called}.")
        verified = process.check(folder.library, self.known, folder.untuned_library)
        libraries = (folder.library, folder.untuned_library)
        tuned, untuned = process.duel(libraries, inputs, self.request.confirming)
        return Finish(Latency.of(tuned), Latency.of(untuned), verified, lost)

    def conclude(self, end: End) -> RunResult:
        """Everything that the summary and the report are made of; it is finished."""
        known, finish, request = self.known, self.finish, self.request
        assert finish is not None
        own = [end.winners[task.digest] for task in known.tasks]
        inputs = enumerate(known.inputs)
        lost = f"{finish.lost} winners could not be applied to the model." if finish.lost else ""
        return RunResult(
            model=known.name,
            target=known.target,
            device=self.device,
            seed=request.seed,
            preset=request.preset,
            explorer=end.search.explorer,
            sampler=end.search.sampler,
            wall_seconds=end.elapsed,
            seconds=end.seconds(known),
            device_busy_fraction=end.busy_share,
            tasks=known.tasks,
            records=tuple(self.own(end.records)),
            outcomes=tuple(
                Outcome(w.task, w.config, w.default_latency, w.latency, w.reason) for w in own
            ),
            processes=end.accounts,
            untuned=finish.untuned,
            tuned=finish.tuned,
            verified=finish.verified,
            inputs=tuple((f"input{n}", array.shape, str(array.dtype)) for n, array in inputs),
            explanation=lost,
            folder=self.folder.path,
            settings=asdict(request),
            versions=versions(),
        )


def versions() -> dict[str, str]:
    """Of the packages that matter."""
    return {package: version(package) for package in PACKAGES}
