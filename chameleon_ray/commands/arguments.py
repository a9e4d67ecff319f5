"""Arguments and options that several commands have, as typer reads them."""

from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from chameleon_ray.measure.cores import threads as threads_of
from chameleon_ray.options import Request, least_values

LEAST = least_values(Request)
"""Least values of options."""

Inputs = Annotated[
    list[str],
    typer.Option(
        "--input", help="NAME:SHAPE[:DTYPE], as x:1x3x8x8; x:{1,4}x3x8x8 for two; or NAME=VALUE."
    ),
]
Examples = Annotated[
    list[str], typer.Option("--example", help="Values of inputs: FILE.npz, or NAME=FILE.npy.")
]
Run = Annotated[Path, typer.Argument(help="The directory of a finished run.")]
AnyRun = Annotated[Path, typer.Argument(help="The directory of a run or a zoo, finished or not.")]
Aware = Annotated[
    bool, typer.Option("--memory-aware", help="Reorder and rewrite for least memory first.")
]
Vendor = Annotated[
    bool, typer.Option("--vendor/--no-vendor", help="Try kernels of cuBLASLt and cuDNN, too.")
]
BuildOnly = Annotated[bool, typer.Option("--build-only", help="Compile only; needs no GPU.")]
Trials = Annotated[int | None, typer.Option(min=LEAST["trials"], help="Most measurements.")]
Minutes = Annotated[float | None, typer.Option(min=LEAST["minutes"], help="Most wall time.")]
Until = Annotated[
    float | None,
    typer.Option(
        parser=lambda text: share_of(text),
        metavar="PERCENT",
        help="End layers believed to be so near to the best of their space, as 2%.",
    ),
]
Seconds = Annotated[float, typer.Option(min=0.1, help="Most for each search of an order.")]
WarmStart = Annotated[list[str], typer.Option("--warm-start", help="An earlier run to learn from.")]
Store = Annotated[
    str | None,
    typer.Option(help="Store of tuned layers: a folder, a URL, or none; else CHAMELEON_STORE's."),
]
Locked = Annotated[
    str | None, typer.Option("--locked", help="Compile the winners of this lock; measure nothing.")
]
Only = Annotated[
    list[str],
    typer.Option("--only", metavar="LAYER", help="Tune this layer only: a name, or a pattern."),
]
Refresh = Annotated[
    bool,
    typer.Option("--refresh", help="Time the store's winners again; tune what got worse."),
]
Address = Annotated[str | None, typer.Option(help="Ray cluster to join; else none.")]
Tensorboard = Annotated[
    str | None, typer.Option("--tensorboard", help="Folder for scalars as TensorBoard reads them.")
]
NoCompare = Annotated[
    bool, typer.Option("--no-compare", help="Do not time other frameworks at the end.")
]
Debug = Annotated[bool, typer.Option("--debug", help="Tracebacks and warnings.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Figures = Annotated[
    Path | None, typer.Option("--figures", metavar="FILE", help="File for the figures as JSON.")
]
Template = Annotated[
    list[str], typer.Option(help="A template of another package, tried before our own.")
]


def share_of(text: str) -> float:
    """Reads a percentage, as ``2%``, or a share, as ``0.02``."""
    with suppress(ValueError):
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
        if 0 <= share < 1:
            return share
    raise typer.BadParameter(f"{text!r} is no percentage; give one such as 2%.")


def cores_of(text: str) -> int:
    """Reads the value of ``--threads``."""
    with suppress(ValueError):
        if (count := threads_of(text)) >= LEAST["threads"]:
            return count
    raise typer.BadParameter(f"{text!r} is no number of cores, nor all.")


Threads = Annotated[
    int | None,
    typer.Option(
        parser=cores_of,
        metavar="N|all",
        help="Cores that a kernel may use, or all; half where left out, or one per GPU.",
    ),
]
Instances = Annotated[
    int,
    typer.Option(
        min=LEAST["instances"],
        help="Copies that a server runs at once, each on --threads cores, or one; tunes for that.",
    ),
]
