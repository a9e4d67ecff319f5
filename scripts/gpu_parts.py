"""The parts of ``gpu_check.py``, ordered by what they are worth where time is short."""

import os
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from gpu_report import Report


@dataclass(frozen=True)
class Part:
    """One part, which runs in a process of its own.

    Attributes:
        work: ``module:function``; the function takes a ``Given``.
        seconds: What the part plans with.
        grace: Seconds on top, for what cannot be planned; then it is stopped.
        argument: Passed on to the function, where it does several parts.
        plain: Whether the part needs neither TVM nor a device that TVM sees.
    """

    work: str
    seconds: float
    grace: float = 10.0
    argument: str = ""
    plain: bool = False


@dataclass(frozen=True)
class Given:
    """What a part is given.

    Attributes:
        report: File of its entries.
        out: Folder of the whole check.
        prebuilt: Folder of the kernels that are compiled already.
        seconds: What it plans with.
        argument: The part's own.
        small: Whether it is a rehearsal: tiny models for the real ones, and few executions.
        only: Words of which one is in the name of every kernel that is looked at; none for all.
        arch: Architecture to compile for where there is no GPU to ask.
    """

    report: Report
    out: Path
    prebuilt: Path
    seconds: float
    argument: str = ""
    small: bool = False
    only: tuple[str, ...] = ()
    arch: str = ""


PARTS = {
    "machine": Part("gpu_machine:machine", 20.0, plain=True),
    "torch": Part("gpu_torch:times", 75.0, plain=True),
    "build": Part("gpu_build:build", 600.0),
    "preflight": Part("gpu_device:preflight", 15.0, 20.0),
    "kernels": Part("gpu_device:kernels", 45.0),
    "faults": Part("gpu_device:faults", 20.0, 20.0),
    "timing": Part("gpu_timing:study", 10.0, 20.0),
    "tune-float16": Part("gpu_models:tune", 165.0, 15.0, "float16"),
    "metaschedule-float16": Part("gpu_models:metaschedule", 120.0, 30.0, "float16"),
    "turns-float16": Part("gpu_turns:turns", 20.0, 25.0, "float16"),
    "tune-float32": Part("gpu_models:tune", 130.0, 15.0, "float32"),
    "turns-float32": Part("gpu_turns:turns", 15.0, 25.0, "float32"),
    "metaschedule-float32": Part("gpu_models:metaschedule", 120.0, 30.0, "float32"),
    "tune-tf32": Part("gpu_models:tune", 130.0, 15.0, "tf32"),
    "turns-tf32": Part("gpu_turns:turns", 15.0, 25.0, "tf32"),
    "tune-bert": Part("gpu_models:tune", 120.0, 30.0, "bert"),
    "turns-bert": Part("gpu_turns:turns", 15.0, 25.0, "bert"),
}
"""Parts by name. All run where none is named, as far as the time goes."""
GATE = "preflight"
"""The part without which no later one can be right."""


def do(name: str, given: Given) -> None:
    """Does a part in this process; those that it starts find these files, too."""
    places = [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    os.environ["PYTHONPATH"] = os.pathsep.join(places)
    module, _, function = PARTS[name].work.partition(":")
    getattr(import_module(module), function)(given)
