"""The site of a session: its directories and models, and how to go on with it once it stopped."""

import asyncio
import os
import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from chameleon_ray.api.session_model import SessionModel
from chameleon_ray.errors import Stopped, UserError
from chameleon_ray.folder import RunFolder, directory_name
from chameleon_ray.options import Request, repeated
from chameleon_ray.record import own
from chameleon_ray.report.events import EventLog, Outcome
from chameleon_ray.report.progress import Progress


@dataclass(frozen=True)
class Site:
    """A session's records and models, and the command that goes on with it.

    Attributes:
        request: Options that the models have in common.
        folder: The directory of records and agents.
        models: The models, each with its run directory.
        words: The command and its arguments that name the same models.
        together: Whether the models are buckets of one, of which none may fail.
    """

    request: Request
    folder: RunFolder
    models: list[SessionModel]
    words: list[str]
    together: bool = False

    def close(self) -> None:
        """Releases the directories."""
        for model in self.models:
            if model.folder is not self.folder:
                model.folder.close()
        self.folder.close()

    def left(self) -> list[SessionModel]:
        """Returns the models that have not failed.

        Raises:
            UserError: All models have failed, or one of those that belong together.
        """
        left = [model for model in self.models if not model.failure]
        if not left or (self.together and len(left) < len(self.models)):
            alike = len({model.failure for model in self.models}) == 1 < len(self.models)
            failed = [model for model in self.models if model.failure]
            told = [model.failure if alike else model.told for model in failed]
            raise UserError(" ".join(dict.fromkeys(told)))
        return left

    def tell_damage(self, tell: Callable[[str], None]) -> None:
        """Sets records that cannot be read aside, and tells of each file in a sentence.

        Raises:
            OSError: A directory cannot be written.
        """
        for folder in dict.fromkeys((self.folder, *(model.folder for model in self.models))):
            for sentence in folder.database.set_aside():
                tell(sentence)

    def log_end(self, progress: Progress, outcome: Outcome, text: str) -> None:
        """Logs how the command ended, in a directory that is known to be its own."""
        if self.folder.identified:
            EventLog(self.folder.log, progress, ()).ended(outcome, text)

    @property
    def go_on(self) -> str:
        """Sentence that tells what is kept, and the command that goes on with it."""
        folder, request = self.folder, self.request
        if not folder.begun:
            return "Nothing was measured yet."
        words = ["chameleon", *self.words, "--out", str(folder.path), "--resume"]
        words += [word for run in request.warm_start for word in ("--warm-start", run)]
        words += repeated(request, self.words[0])
        kept = f"{len(own(folder.database.read()))} measurements are kept in {folder.path}"
        library = f" {folder.library_state}" if folder.holds == "run" else ""
        return f"{kept}{library}; go on with: {shlex.join(words)}"


@contextmanager
def working(site: Site, cores: tuple[int, ...], progress: Progress) -> Iterator[None]:
    """Keeps this process on some cores while a session works, and closes its site afterwards.

    Args:
        site: The session's directories.
        cores: Cores for search and builds. Timing cores stay free of every process started inside.
        progress: Progress of the command; how it ended is logged, as nobody may read the screen.

    Raises:
        UserError: The disk is full, or cannot be written; the message says how to go on.
        Stopped: The user interrupted the session; the message says how to go on.
    """
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, cores)
        yield
        told = "Done; summary.json and report.html tell what came of it."
        site.log_end(progress, "done", told)
    except (Stopped, KeyboardInterrupt, asyncio.CancelledError) as stop:
        site.log_end(progress, "stopped", f"Stopped. {site.go_on}")
        raise Stopped(site.go_on) from stop
    except OSError as error:
        reason = f"Writing to {site.folder.path} failed: {error.strerror or error}."
        raise UserError(f"{reason} {site.go_on}") from error
    except UserError as error:
        site.log_end(progress, "error", f"Error: {error}")
        raise
    finally:
        os.sched_setaffinity(0, before)
        site.close()


def directory(request: Request) -> Path:
    """Returns the directory asked for, or a new one under ``runs/``.

    Raises:
        UserError: A session is to be gone on with, and its directory was not named.
    """
    if request.out is not None:
        return Path(request.out)
    if request.resume:
        raise UserError("--resume needs --out RUN, the directory of the run to go on with.")
    return Path("runs") / f"{directory_name(request.model)}-{time.strftime('%Y%m%d-%H%M%S')}"
