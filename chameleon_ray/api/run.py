"""A run: a request in, a tuned and verified model in its directory out."""

import asyncio
import os
import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from chameleon_ray.api.algorithms import Stopped, UserError, search_of
from chameleon_ray.api.model import Model
from chameleon_ray.api.session import TuningSession
from chameleon_ray.api.warm_start import transfer_of
from chameleon_ray.cluster import gpus
from chameleon_ray.cluster.ray_session import SessionError, check_pins, start
from chameleon_ray.compiler.codegen.link import LinkError, find_linker
from chameleon_ray.compiler.kind import TargetKind
from chameleon_ray.compiler.kinds import kind_of
from chameleon_ray.compiler.target import TargetError
from chameleon_ray.database import DatabaseError
from chameleon_ray.folder import FolderError, RunFolder, directory_name
from chameleon_ray.measure.cores import available, split
from chameleon_ray.measure.isolate import IsolateError
from chameleon_ray.options import Request
from chameleon_ray.pool import NoWorkers, PoolError
from chameleon_ray.report.html import render
from chameleon_ray.report.progress import Progress
from chameleon_ray.report.result import RunResult
from chameleon_ray.report.summary import write, write_text

TROUBLE = (
    *(FolderError, DatabaseError, SessionError, PoolError, NoWorkers),
    *(IsolateError, LinkError, TargetError),
)
"""Errors that are one sentence for the user already."""
OPTIONS = (
    *("target", "trials", "minutes", "preset", "explorer", "sampler"),
    *("seed", "address", "threads", "layout", "engine"),
)
"""Of the command ``tune``, named as the request's fields are."""


T = TypeVar("T")


@dataclass(frozen=True)
class Site:
    """Where a session's records are, what it tunes, and how to go on with it.

    Attributes:
        folder: Of records and agents.
        models: Each with its run directory.
        words: The command line that names the same models.
        options: Of the request, what else that command takes.
    """

    folder: RunFolder
    models: list[Model]
    words: list[str]
    options: tuple[str, ...]

    def close(self) -> None:
        """Lets others have the directories."""
        for model in self.models:
            if model.folder is not self.folder:
                model.folder.close()
        self.folder.close()


def tune(request: Request, progress: Progress) -> RunResult:
    """Tunes a model and leaves everything in the run directory.

    Args:
        request: What the user asked for.
        progress: Told what happens; its clock began with the command.

    Raises:
        UserError: The request cannot be met.
        Stopped: The user interrupted it; the message says how to go on.
    """

    def settle() -> Site:
        folder = RunFolder(directory(request), request.resume)
        words = ["tune", request.model, *(["--memory-aware"] if request.memory_aware else [])]
        words += [word for text in request.inputs for word in ("--input", text)]
        return Site(folder, [Model(request, folder)], words, OPTIONS)

    def conclude(session: TuningSession) -> RunResult:
        (model,) = session.models
        return keep(model)

    return session(request, settle, conclude, progress)


def keep(model: Model) -> RunResult:
    """Writes a model's summary and report into its directory; it has a result."""
    assert model.result is not None
    write(model.folder.summary, model.result)
    write_text(model.folder.report, render(model.result))
    return model.result


def session(
    request: Request,
    settle: Callable[[], Site],
    conclude: Callable[[TuningSession], T],
    progress: Progress,
) -> T:
    """Tunes models together; each leaves its result or its failure, and at least one a result.

    Args:
        request: What they have in common.
        settle: Makes the directories, once it is known that the request can be met.
        conclude: Keeps the results; what it returns is returned.
        progress: Told what happens; its clock began with the command.

    Raises:
        UserError: The request cannot be met, or nothing came of any model.
        Stopped: The user interrupted it; the message says how to go on.
    """
    cores = available()
    try:
        session, site = _ready(request, settle, progress, cores)
    except (*TROUBLE, ValueError) as error:
        raise UserError(str(error)) from error
    try:
        os.sched_setaffinity(0, session.search_cores)  # before any child: timing cores stay free
        asyncio.run(session.run())
        return conclude(session)
    except (Stopped, KeyboardInterrupt, asyncio.CancelledError) as stop:
        raise Stopped(_go_on(site, request)) from stop
    except TROUBLE as error:
        raise UserError(str(error)) from error
    except OSError as error:
        reason = f"Writing to {site.folder.path} failed: {error.strerror or error}."
        raise UserError(f"{reason} {_go_on(site, request)}") from error
    finally:
        os.sched_setaffinity(0, cores)
        site.close()


def _ready(
    request: Request, settle: Callable[[], Site], progress: Progress, cores: tuple[int, ...]
) -> tuple[TuningSession, Site]:
    """A session that may begin; its directories are the last thing that is made."""
    began = time.perf_counter() - progress.elapsed
    search = search_of(request)
    kind = kind_of(request.target)
    kind.demand(request.target)
    check_pins()
    find_linker()
    search_cores, timing_cores = split(cores, request.threads, _gpus(request, kind))
    transfer = transfer_of(search, map(Path, request.warm_start))
    site = settle()
    session = TuningSession(
        request,
        kind,
        search,
        site.folder,
        site.models,
        progress,
        began,
        search_cores,
        timing_cores,
        transfer,
    )
    return session, site


def _gpus(request: Request, kind: TargetKind) -> int | None:
    """How many GPUs of this machine are to be fed; None where the cores themselves are timed.

    A cluster's head may hand out none of them.
    """
    if kind.gpus is None:
        return None
    found = kind.gpus()
    if found < 2 or not request.on_cluster:  # there is a core for the first one in any case
        return found
    with start(request.address):
        return gpus.here()


def directory(request: Request) -> Path:
    """The directory asked for, or a new one under ``runs/``.

    Raises:
        UserError: A session that was not named is to be gone on with.
    """
    if request.out is not None:
        return Path(request.out)
    if request.resume:
        raise UserError("--resume needs --out RUN, the directory of the run to go on with.")
    return Path("runs") / f"{directory_name(request.model)}-{time.strftime('%Y%m%d-%H%M%S')}"


def _go_on(site: Site, request: Request) -> str:
    folder = site.folder
    if not folder.begun:
        return "Nothing was measured yet."
    words = ["chameleon", *site.words, "--out", str(folder.path), "--resume"]
    words += [word for run in request.warm_start for word in ("--warm-start", run)]
    bare = Request(request.model)
    for option in site.options:
        if getattr(request, option) != getattr(bare, option):
            words += [f"--{option}", str(getattr(request, option))]
    return (
        f"{len(folder.database.read())} measurements are kept in {folder.path}; go on with: "
        f"{shlex.join(words)}"
    )
