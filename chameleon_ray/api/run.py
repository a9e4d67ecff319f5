"""A run: tunes one model and leaves everything in its directory."""

from dataclasses import replace

from chameleon_ray.api.ceiling import ceiling_of
from chameleon_ray.api.concurrency import Stop
from chameleon_ray.api.locked import lock_of
from chameleon_ray.api.restarts import run_session
from chameleon_ray.api.session_model import SessionModel
from chameleon_ray.api.setup import set_up
from chameleon_ray.api.site import Site, directory, working
from chameleon_ray.compiler.frontend.examples import given
from chameleon_ray.compiler.frontend.load import demand
from chameleon_ray.folder import RunFolder
from chameleon_ray.options import Request
from chameleon_ray.report.html import render
from chameleon_ray.report.progress import Progress
from chameleon_ray.report.result import RunResult
from chameleon_ray.report.summary import write, write_text


def tune(request: Request, progress: Progress, stop: Stop | None = None) -> RunResult:
    """Tunes a model and leaves everything in the run directory.

    Args:
        request: Request of the user.
        progress: Progress that is told what happens; its clock began with the command.
        stop: Ends the session from another thread; None where Ctrl-C does.

    Raises:
        UserError: The request cannot be met.
        Stopped: The user interrupted the session; the message says how to go on.
    """
    setup = set_up(request)
    demand(request.model, given(request.inputs, request.examples))
    site = _site(request)
    with working(site, setup.search_cores, progress):
        site.tell_damage(progress.note)
        end = run_session(site, setup, progress, stop)
        progress.phase("writing the report")
        ((model, result),) = end.results.items()
        result = replace(result, ceiling=ceiling_of(setup, request))
        keep(model.folder, result)
    return result


def keep(folder: RunFolder, result: RunResult) -> None:
    """Writes a model's summary, lock and report into its run directory."""
    write(folder.summary, result)
    write_text(folder.lock, lock_of(result).dumps())
    write_text(folder.report, render(result))


def _site(request: Request) -> Site:
    folder = RunFolder(directory(request), existing=request.resume)
    words = ["tune", request.model, *(["--memory-aware"] if request.memory_aware else [])]
    words += [word for text in request.inputs for word in ("--input", text)]
    words += [word for text in request.examples for word in ("--example", text)]
    return Site(request, folder, [SessionModel(request, folder)], words)
