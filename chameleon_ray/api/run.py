"""A run: a request in, a tuned and verified model in its directory out."""

import asyncio
import os
import shlex
import time
from pathlib import Path

from chameleon_ray.api.choices import Stopped, UserError, search_of
from chameleon_ray.api.tuning import Tuning
from chameleon_ray.api.warm_start import transfer_of
from chameleon_ray.cluster.session import SessionError, check_pins
from chameleon_ray.compiler.link import LinkError, find_linker
from chameleon_ray.crew import CrewError, NoWorkers
from chameleon_ray.database import DatabaseError
from chameleon_ray.folder import FolderError, RunFolder, file_name
from chameleon_ray.measure.cores import available, split
from chameleon_ray.measure.isolate import IsolateError
from chameleon_ray.options import Request
from chameleon_ray.report.html import render
from chameleon_ray.report.progress import Progress
from chameleon_ray.report.result import RunResult
from chameleon_ray.report.summary import write, write_text

TROUBLE = (
    *(FolderError, DatabaseError, SessionError, CrewError, NoWorkers),
    *(IsolateError, LinkError),
)
"""Errors that are one sentence for the user already."""
OPTIONS = (
    *("target", "trials", "minutes", "preset", "explorer", "sampler"),
    *("seed", "address", "threads", "layout", "engine"),
)
"""Of the command ``tune``, named as the request's fields are."""


def tune(request: Request, progress: Progress) -> RunResult:
    """Tunes a model and leaves everything in the run directory.

    Args:
        request: What the user asked for.
        progress: Told what happens; its clock began with the command.

    Raises:
        UserError: The request cannot be met.
        Stopped: The user interrupted it; the message says how to go on.
    """
    began, cores = time.perf_counter() - progress.elapsed, available()
    try:
        search = search_of(request)
        check_pins()
        find_linker()
        search_cores, timing_cores = split(cores, request.threads)
        transfer = transfer_of(search, map(Path, request.warm_start))
        folder = RunFolder(_path(request), request.resume)
    except (*TROUBLE, ValueError) as error:
        raise UserError(str(error)) from error
    try:
        os.sched_setaffinity(0, search_cores)  # before any child: the timing cores stay free
        tuning = Tuning(
            request, search, folder, progress, began, search_cores, timing_cores, transfer
        )
        result = asyncio.run(tuning.run())
        write(folder.summary, result)
        write_text(folder.report, render(result))
        return result
    except (Stopped, KeyboardInterrupt, asyncio.CancelledError) as stop:
        raise Stopped(_go_on(folder, request)) from stop
    except TROUBLE as error:
        raise UserError(str(error)) from error
    except OSError as error:
        reason = f"Writing to {folder.path} failed: {error.strerror or error}."
        raise UserError(f"{reason} {_go_on(folder, request)}") from error
    finally:
        os.sched_setaffinity(0, cores)
        folder.close()


def _path(request: Request) -> Path:
    """The run directory asked for, or a new one under ``runs/``."""
    if request.out is not None:
        return Path(request.out)
    if request.resume:
        raise UserError("--resume needs --out RUN, the directory of the run to go on with.")
    name = request.model
    name = Path(name).stem if name.endswith((".onnx", ".pt2")) else name
    stamp = time.strftime("%Y%m%d-%H%M%S")
    return Path("runs") / f"{file_name(name)}-{stamp}"


def _go_on(folder: RunFolder, request: Request) -> str:
    if folder.identity() is None:
        return "Nothing was measured yet."
    words = ["chameleon", "tune", request.model, "--out", str(folder.path), "--resume"]
    words += [word for text in request.inputs for word in ("--input", text)]
    words += [word for run in request.warm_start for word in ("--warm-start", run)]
    plain = Request(request.model)
    for option in OPTIONS:
        if getattr(request, option) != getattr(plain, option):
            words += [f"--{option}", str(getattr(request, option))]
    words += ["--memory-aware"] if request.memory_aware else []
    return (
        f"{len(folder.database.read())} measurements are kept in {folder.path}; go on with: "
        f"{shlex.join(words)}"
    )
