"""Runs a session, and runs it again from its records where its private Ray was lost."""

import asyncio
from itertools import count

from chameleon_ray.api.concurrency import Stop, interruptible
from chameleon_ray.api.session import SessionResult, TuningSession
from chameleon_ray.api.setup import Setup
from chameleon_ray.api.site import Site
from chameleon_ray.errors import RayLost, Stopped, UserError
from chameleon_ray.report.progress import Progress

RESTARTS = 2
"""Most times that Ray is started again in a session."""


def run_session(
    site: Site, setup: Setup, progress: Progress, stop: Stop | None = None
) -> SessionResult:
    """Runs a session to its end.

    What failed in a session that lost its Ray is tried again, as it may have come of that.

    Raises:
        UserError: No model can be finished, or Ray was lost again and again.
        Stopped: The user interrupted the session.
    """
    earlier = max((record.finished for record in site.folder.database.read()), default=0.0)
    failures = [model.failure for model in site.models]
    stop = stop or Stop()
    with interruptible(stop):
        for restarts in count():
            try:
                return asyncio.run(TuningSession(site, setup, progress, earlier, stop).run())
            except RayLost as error:
                if stop.asked:  # while the lost one was taken down
                    raise Stopped from error
                if restarts == RESTARTS:
                    times = f"That happened {RESTARTS + 1} times."
                    raise UserError(f"{error} {times} {site.go_on}") from error
                progress.note(f"{error} It is started again, and what was measured is kept.")
                for model, failure in zip(site.models, failures, strict=True):
                    model.failure = failure
    raise AssertionError
