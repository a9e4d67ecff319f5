"""Checks that a finished run's library has not become slower."""

import json
from contextlib import ExitStack
from pathlib import Path

from chameleon_ray.api.finished_run import in_turns
from chameleon_ray.errors import UserError
from chameleon_ray.folder import RunFolder
from chameleon_ray.measure.slowdown import LEAST, Slowdown
from chameleon_ray.options import Confirming


def check(path: Path, baseline: Path | None, options: Confirming) -> Slowdown:
    """Times a run's library in turns with a baseline.

    Args:
        path: The run directory.
        baseline: Directory of another run of the same model. Where None, the run's own untuned
            library; what counts then is the ratio of the two against that in ``summary.json``, as
            latencies of another day or machine say nothing by themselves.
        options: Settings of the timing.

    Raises:
        UserError: A library is missing or does not run, the runs are of different models, the
            recorded latencies are missing, or too few turns were timed.
        FolderError: A directory is not a finished run's.
    """
    with ExitStack() as stack:
        folder = RunFolder(path, existing=True)
        stack.callback(folder.close)
        other, expected = folder.untuned_library, 1.0
        if baseline is None:
            expected = _recorded(path)
        elif baseline.resolve() == path.resolve():
            other = folder.library
        else:
            before = RunFolder(baseline, existing=True)
            stack.callback(before.close)
            _same_inputs(folder, before, path, baseline)
            other = before.library
        ours, theirs = in_turns(folder, (folder.library, other), options)
    turns = min(len(ours), len(theirs))
    if turns < LEAST:
        raise UserError(f"Only {turns} turns of {path} were timed in time, and {LEAST} are needed.")
    return Slowdown.of(ours[:turns], theirs[:turns], expected)


def _recorded(path: Path) -> float:
    """Returns the tuned library's latency over the untuned one's, as the run had it."""
    try:
        known = json.loads((path / "summary.json").read_text(encoding="utf-8"))["latency_ms"]
        ratio = float(known["tuned"]) / float(known["untuned"])
    except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError) as error:
        raise UserError(
            f"{path} has no recorded latencies to compare with; give another run with --baseline."
        ) from error
    return ratio


def _same_inputs(one: RunFolder, other: RunFolder, path: Path, baseline: Path) -> None:
    known, before = (folder.identity() or {} for folder in (one, other))
    for key in ("inputs", "target"):
        if known.get(key) != before.get(key):
            raise UserError(
                f"{baseline} cannot be the baseline of {path}: their models' {key} differ; give a "
                "run of the same model for the same target."
            )
