"""The essence of one run: its headline, its layers, what was left, its files, its command."""

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from chameleon_ray.record import Record
from chameleon_ray.report.format import ago, counted, digits, milliseconds, size
from chameleon_ray.report.log import gain, pace
from chameleon_ray.report.progress import Progress
from chameleon_ray.report.zoo_comparison import left_out
from chameleon_ray.run_files import FolderError, RunFiles, ZooFiles
from chameleon_ray.runs.facts import Facts
from chameleon_ray.runs.following import Follower
from chameleon_ray.runs.kept_run import KeptRun, State, kept_run
from chameleon_ray.runs.kept_run import as_json as run_as_json
from chameleon_ray.runs.layers import ShownLayer, layers_of, layers_so_far
from chameleon_ray.runs.layers import as_json as layer_as_json
from chameleon_ray.runs.listing import compared
from chameleon_ray.runs.repeating import command, going_on
from chameleon_ray.runs.target import short

KEPT = {
    "model.so": "the tuned model",
    "report.html": "for people",
    "summary.json": "for programs",
    "chameleon.lock": "for version control",
    "log.jsonl": "what happened",
}
"""Files of a run that people use, and what they are."""


@dataclass(frozen=True)
class Shown:
    """One run, read for being shown.

    Attributes:
        run: The run.
        layers: Its layers, most time first; of a zoo with a summary there are none.
        models: Models of a zoo.
        progress: Progress of a run without a summary; else None.
        records: What the last session of such a run has measured.
    """

    run: KeptRun
    layers: Sequence[ShownLayer]
    models: Sequence[KeptRun] = ()
    progress: Progress | None = None
    records: Sequence[Record] = ()

    @staticmethod
    def so_far(run: KeptRun, follower: Follower) -> "Shown":
        """Makes it of a run that is followed."""
        layers = layers_so_far(follower.progress)
        return Shown(run, layers, (), follower.progress, follower.records)

    @property
    def headline(self) -> str:
        """What the model takes, and what else would run it takes, in one sentence."""
        run = self.run
        name = run.model or "A run that has just begun"
        if run.seconds is None:
            return f"{name}: not timed as a whole{' yet' if run.state is State.LIVE else ''}"
        times = [f"{milliseconds(run.seconds)} ms"]
        times[0] += ", weighted sum" if run.holds == "zoo" else ""
        times += [compared(run)] if any(r.seconds is not None for r in run.rivals) else []
        if run.untuned is not None:
            times.append(f"untuned TVM {milliseconds(run.untuned)}")
        return f"{name}: {'; '.join(times)}"

    @property
    def facts(self) -> list[str]:
        """Device, state and time, and what came of the search so far; a sentence each."""
        run = self.run
        where = [run.device, short(run.target)]
        where += [counted(run.threads, "thread")] if run.threads else []
        told = [", ".join(filter(None, where)), self._state]
        told += [r.name + ": " + r.fault for r in run.rivals if r.fault]
        told += left_out(
            (model.path.name, rival.name, rival.fault)
            for model in self.models
            for rival in model.rivals
            if rival.fault
        )
        if self.progress is not None and self.progress.layers:
            told += [pace(self.progress), gain(self.progress)]
        return [line for line in told if line]

    @property
    def left(self) -> list[str]:
        """What was left to gain, in sentences."""
        missing = sum(not row.reached for row in self.layers)
        told = [f"{missing} of {counted(len(self.layers), 'layer')} never reached."] * bool(missing)
        minutes = self.run.summary.number("remaining", "minutes")
        worth = self.run.summary.number("remaining", "worth_ms")
        if (
            minutes is not None
            and worth is not None
            and self.run.summary.items("remaining", "within")
        ):
            told.append(f"{minutes:g} more minutes of search are worth about {digits(worth)} ms.")
        return told

    @property
    def files(self) -> list[tuple[Path, str, int]]:
        """Files that people use, what they are, and their bytes."""
        found = []
        for name, told in KEPT.items():
            with suppress(OSError):
                found.append((self.run.path / name, told, os.lstat(self.run.path / name).st_size))
        return found

    @property
    def commands(self) -> dict[str, str]:
        """Commands to use next, by what they do; none of them empty."""
        run = self.run
        known = {"To repeat it": command(run)}
        if run.state in (State.INTERRUPTED, State.FAILED):
            known["To go on"] = going_on(run)
        return {what: line for what, line in known.items() if line}

    @property
    def _fault(self) -> str:
        """Why the run failed: what its outputs, the models of a zoo, or its last words say."""
        summary = self.run.summary
        models = [(one.text("name"), one.text("error")) for one in summary.rows("models")]
        errors = "; ".join(f"{name}: {error}" for name, error in models if error)
        return summary.text("verified", "fault") or errors or self.run.text

    @property
    def _state(self) -> str:
        run, against = self.run, self.run.summary.text("verified", "against")
        told = run.state.value
        if run.state is State.VERIFIED and against:
            told += f", same outputs as {against}"
        if run.state is State.FAILED and (why := self._fault):
            told += f" ({why})"
        tried = counted(run.measurements, "measurement")
        return f"{told}; {tried}; begun {ago(run.age)} ago; {size(run.size)}"


def shown(path: Path) -> Shown:
    """Reads a run for being shown.

    Raises:
        FolderError: The directory holds no run, or its files are damaged or of another version.
    """
    run = kept_run(path)
    if run.fault:
        raise FolderError(run.fault)
    if run.summary.rows("tasks"):
        return Shown(run, layers_of(run.summary))
    if models := run.summary.rows("models"):
        return Shown(run, (), _models(run.path, models))
    follower = Follower(ZooFiles(path) if run.holds == "zoo" else RunFiles(path))
    follower.read()
    if run.state is not State.LIVE:
        follower.settle()
    return Shown.so_far(run, follower)


def as_json(found: Shown) -> dict[str, object]:
    """Returns all that is shown as plain data."""
    return run_as_json(found.run) | {
        "layers": [layer_as_json(row) for row in found.layers],
        "models": [run_as_json(run) for run in found.models],
        "left": found.left,
        "files": {str(path): count for path, _, count in found.files},
        "commands": found.commands,
    }


def _models(folder: Path, models: Sequence[Facts]) -> list[KeptRun]:
    """Returns the runs of a zoo's models that are there, in the zoo's order."""
    found = []
    for model in models:
        with suppress(FolderError):
            found.append(kept_run(ZooFiles(folder).model(Path(model.text("name")).name)))
    return found
