"""The failure of a job on a model, and what to do about it."""

import shutil
from pathlib import Path
from typing import Any

from chameleon_ray.compiler.frontend.load import is_call
from chameleon_ray.errors import UserError
from chameleon_ray.measure.isolate import Ending, Outcome

SPACE = 1 << 16
"""Bytes below which a disk is full: less than any library needs."""


class StepError(UserError):
    """A job on a model that failed without a sentence for the user.

    Attributes:
        why: Reason in the words of what failed.
        ending: Way in which the job ended.
    """

    def __init__(self, step: str, why: str, ending: Ending = Ending.ERROR) -> None:
        killed = ending is Ending.CRASH and ("SIGKILL" in why or "lost" in why)
        advice = "; free memory, for want of which processes are killed, and run it again"
        super().__init__(f"The step {step} failed: {why}{f'{advice}.' if killed else ''}")
        self.why, self.ending = why, ending


def failure(job: Any, outcome: Outcome) -> UserError:
    """Returns the error of a job that failed; a compiler only exits where the disk is full."""
    if outcome.for_user:
        return UserError(outcome.error)
    path: Path | None = getattr(job, "path", None)
    if path is not None and path.parent.exists() and shutil.disk_usage(path.parent).free < SPACE:
        return UserError(f"{path} cannot be written: no space left on device; free some.")
    return StepError(type(job).__name__, outcome.error, outcome.ending)


def advice(spec: str, failed: StepError) -> str:
    """Says what to do about a model whose import its process did not survive."""
    if "memory" in failed.why or "SIGKILL" in failed.why:
        return "free memory, or give smaller inputs or a smaller model"
    if failed.ending is Ending.ERROR:
        return "give the model in another format, or report this with what --debug prints"
    if is_call(spec):
        return "call it in a Python of its own, and take out what it does to its process"
    return "export the model again, or check that its own runtime loads it"
