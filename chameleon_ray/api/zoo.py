"""Tunes a zoo: several models in one search, each then verified in a directory of its own."""

import shlex
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import replace

from chameleon_ray.api.algorithms import search_of
from chameleon_ray.api.ceiling import ceiling_of
from chameleon_ray.api.concurrency import Stop
from chameleon_ray.api.model_process import ModelProcess
from chameleon_ray.api.restarts import run_session
from chameleon_ray.api.run import keep
from chameleon_ray.api.session import SessionResult
from chameleon_ray.api.session_model import SessionModel
from chameleon_ray.api.setup import Setup, set_up
from chameleon_ray.api.site import Site, directory, working
from chameleon_ray.api.timing_cores import cores_asked_for
from chameleon_ray.errors import UserError
from chameleon_ray.folder import RunFolder, ZooFolder
from chameleon_ray.layer_names import of_model
from chameleon_ray.merging import Merged, merged
from chameleon_ray.options import Member, Zoo
from chameleon_ray.options.buckets import is_bucketed
from chameleon_ray.report.progress import Progress
from chameleon_ray.report.summary import write_text
from chameleon_ray.report.zoo import ZooEntry, ZooResult
from chameleon_ray.report.zoo_page import render
from chameleon_ray.report.zoo_summary import write
from chameleon_ray.run_files import FILES
from chameleon_ray.task import Task


def tune_zoo(zoo: Zoo, progress: Progress, stop: Stop | None = None) -> ZooResult:
    """Tunes all models of a zoo and leaves everything in its directory.

    Layers that several models have are tuned once. The budget goes to the layer that promises most
    for the weighted sum of all models' latencies. A model that fails does not end the others.

    Args:
        zoo: Request of the user.
        progress: Progress that is told what happens; its clock began with the command.
        stop: Ends the session from another thread; None where signals do.

    Raises:
        UserError: The request cannot be met, or nothing came of any model.
        Stopped: The user interrupted the session; the message says how to go on.
    """
    setup = set_up(zoo.common)
    site = _site(zoo)
    return tuned_site(zoo, site, setup, progress, stop)


def tuned_site(
    zoo: Zoo, site: Site, setup: Setup, progress: Progress, stop: Stop | None
) -> ZooResult:
    """Tunes all models of a site; see ``tune_zoo``."""
    with working(site, setup.search_cores, progress):
        site.tell_damage(progress.note)
        end = run_session(site, setup, progress, stop)
        progress.phase("writing the reports")
        ceiling = ceiling_of(setup, zoo.common)
        results = {m: replace(done, ceiling=ceiling) for m, done in end.results.items()}
        result = _result(zoo, site, replace(end, results=results))
        if zoo.together:
            result = replace(result, library=site.folder.library)
        for model, done in results.items():
            keep(model.folder, done)
        write(site.folder.summary, result)
        write_text(site.folder.report, render(result))
    return result


def survey(zoo: Zoo, tell: Callable[[str], None]) -> tuple[list[ZooEntry], Merged]:
    """Imports the models, without tuning them, and finds out which layers they share.

    Args:
        zoo: The zoo of the models.
        tell: Called with a sentence that names the model that is next.

    Raises:
        UserError: Something was asked for that does not exist, or there are no such cores.
    """
    search_of(zoo.common)
    own = cores_asked_for(zoo.common)
    layers: dict[str, tuple[Task, ...]] = {}
    failures: dict[str, str] = {}
    with ExitStack() as stack:
        process = ModelProcess(own.kind, own.cores, stack, own.copies)
        for member in zoo.members:
            tell(f"importing {member.name}")
            try:
                layers[member.name] = process.prepare(member.request).tasks
            except UserError as error:
                failures[member.name] = str(error)
            process.clear()
    found = merged(
        [(m.weight, of_model(m.name, layers[m.name])) for m in zoo.members if m.name in layers]
    )
    entries = [
        ZooEntry(
            member.name,
            member.request,
            member.weight,
            layers=len(_layers(layers.get(member.name, ()))),
            shared=found.shared(_layers(layers.get(member.name, ()))),
            failure=failures.get(member.name, ""),
        )
        for member in zoo.members
    ]
    return entries, found


def _site(zoo: Zoo) -> Site:
    request = replace(zoo.common, model=str(zoo.file))  # names the directory, and is in zoo.json
    folder = ZooFolder(directory(request), existing=request.resume)
    known = (folder.identity() or {}).get("options", {})
    if is_bucketed(known.get("inputs", ())):
        folder.close()
        inputs = [word for text in known["inputs"] for word in ("--input", text)]
        words = ["tune", known["model"], *inputs, "--out", str(folder.path), "--resume"]
        raise UserError(
            f"{folder.path} is a run of buckets and no zoo; go on with it by chameleon "
            f"{shlex.join(words)}, or choose another --out."
        )
    models = [model_of(member, folder, request.resume) for member in zoo.members]
    return Site(request, folder, models, ["zoo", str(zoo.file)])


def model_of(member: Member, folder: ZooFolder, resume: bool) -> SessionModel:
    """Returns a member in its directory below the zoo's."""
    path = folder.model(member.name)
    run = RunFolder(path, existing=resume and (path / FILES["run"]).exists())
    return SessionModel(replace(member.request, out=str(path)), run, member.weight, member.name)


def _result(zoo: Zoo, site: Site, end: SessionResult) -> ZooResult:
    return ZooResult(
        file=zoo.file,
        common=zoo.common,
        folder=site.folder.path,
        entries=tuple(_entry(model, end) for model in site.models),
        merged=end.layers,
        records=tuple(site.folder.database.read()),
        device=end.device,
        wall_seconds=end.wall_seconds,
        device_busy_fraction=end.busy_share,
    )


def _entry(model: SessionModel, end: SessionResult) -> ZooEntry:
    known = end.prepared.get(model)
    digests = _layers(known.tasks) if known else []
    return ZooEntry(
        name=model.name,
        request=model.request,
        weight=model.weight,
        folder=model.folder.path,
        layers=len(digests),
        shared=end.layers.shared(digests),
        result=end.results.get(model),
        failure=model.failure,
    )


def _layers(tasks: Iterable[Task]) -> list[str]:
    """Returns the digests of a model's layers, whatever lowerings these have."""
    return [task.digest for task in tasks if not task.instead]
