"""Several runs compared: what each takes, what differs between them, and every layer."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path

from chameleon_ray.report.columns import Column
from chameleon_ray.report.difference import Change, changes, versions
from chameleon_ray.report.format import digits, times
from chameleon_ray.report.layer_history import ratio
from chameleon_ray.run_files import FolderError, RunFiles
from chameleon_ray.runs.kept_run import KeptRun, kept_run
from chameleon_ray.runs.kept_run import as_json as run_as_json
from chameleon_ray.runs.layers import called
from chameleon_ray.runs.listing import compared
from chameleon_ray.runs.target import short


@dataclass(frozen=True)
class Comparison:
    """Runs side by side.

    Attributes:
        runs: At least two runs.
        names: What each is called, all different.
        differing: Per later run, packages and device that are not those of the first one.
        layers: The layers of all runs.
    """

    runs: tuple[KeptRun, ...]
    names: tuple[str, ...]
    differing: tuple[tuple[str, ...], ...]
    layers: tuple[Change, ...]

    @property
    def notes(self) -> list[str]:
        """What differs between the circumstances of the runs, a line each."""
        return [
            f"{name}: {one}" if len(self.runs) > 2 else one
            for name, differing in zip(self.names[1:], self.differing, strict=True)
            for one in differing
        ]

    @property
    def rows(self) -> list[tuple[str, KeptRun, float | None]]:
        """Name of each run, the run, and how many times as fast as the first one it is."""
        first = self.runs[0].seconds
        gains = [
            None if not (first and run.seconds) else ratio(first, run.seconds) for run in self.runs
        ]
        return list(zip(self.names, self.runs, gains, strict=True))


Row = tuple[str, KeptRun, float | None]
RUNS: tuple[Column[Row], ...] = (
    Column("run", "text", lambda row: row[0]),
    Column("model", "text", lambda row: row[1].model),
    Column("target", "text", lambda row: short(row[1].target)),
    Column("threads", "number", lambda row: str(row[1].threads or "-")),
    Column("ms", "number", lambda row: digits(_ms(row[1].seconds))),
    Column("compared, ms", "text", lambda row: compared(row[1])),
    Column("tried", "number", lambda row: str(row[1].measurements)),
    Column("state", "text", lambda row: row[1].state.value),
    Column("faster", "number", lambda row: times(row[2])),
)
"""Columns of the table of runs; ``faster`` is against the first one."""


def comparison(paths: Sequence[Path]) -> Comparison:
    """Reads runs and compares them, layer by layer, with the first one.

    Raises:
        FolderError: One is no run, has no winners yet, or its files are damaged.
    """
    runs = [kept_run(path) for path in paths]
    for run in runs:
        if run.holds != "run":
            raise FolderError(f"{run.path} holds a zoo; compare the runs in {run.path / 'models'}.")
        if run.fault:
            raise FolderError(run.fault)
    winners = [RunFiles(path).load_winners() for path in paths]
    identities = [_whole(run) for run in runs]
    return Comparison(
        tuple(runs),
        _names(paths),
        tuple(tuple(versions(identities[0], one)) for one in identities[1:]),
        tuple(changes(identities, winners)),
    )


def as_json(found: Comparison) -> dict[str, object]:
    """Returns a comparison as plain data; unknown values are None."""
    return {
        "runs": [run_as_json(run) for run in found.runs],
        "differing": [list(one) for one in found.differing],
        "layers": [
            {
                "layer": row.layer,
                "ms": [1e3 * seconds if seconds < inf else None for seconds in row.seconds],
                "changed": list(row.changed),
                "faster": row.ratio,
            }
            for row in found.layers
        ],
    }


def _whole(run: KeptRun) -> dict[str, dict]:
    """Returns the parts of a run's identity that are compared.

    Raises:
        FolderError: A layer has no name.
    """
    names = run.identity.items("layers")
    if not all(isinstance(name, str) for name in names.values()) or not names:
        raise FolderError(f"{run.path} does not tell the names of its layers; it cannot be used.")
    short = {task.text("digest"): called(task) for task in run.summary.rows("tasks")}
    titles = {one: title for one, title in run.identity.items("titles").items() if title}
    names = {one: str((titles | short).get(one, name)) for one, name in names.items()}
    parts = {key: run.identity.items(key) for key in ("spaces", "lowerings", "versions")}
    return {"layers": names, "device": run.device, **parts}  # type: ignore[dict-item]


def _names(paths: Sequence[Path]) -> tuple[str, ...]:
    """Returns the directories' names, or their paths where two have the same name."""
    short = tuple(path.resolve().name for path in paths)
    return short if len(set(short)) == len(short) else tuple(map(str, paths))


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else 1e3 * seconds
