"""A zoo: several models in, each tuned and verified in its own directory out, after one search."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace

from chameleon_ray.api.algorithms import UserError, search_of
from chameleon_ray.api.model import FAULTS, Model
from chameleon_ray.api.model_process import ModelProcess
from chameleon_ray.api.run import Site, directory, keep, session
from chameleon_ray.api.session import TuningSession
from chameleon_ray.compiler.kinds import kind_of
from chameleon_ray.folder import FILES, RunFolder, ZooFolder
from chameleon_ray.measure.cores import available, split
from chameleon_ray.merging import Merged, merged
from chameleon_ray.options import Member, Zoo
from chameleon_ray.report.progress import Progress
from chameleon_ray.report.summary import write_text
from chameleon_ray.report.zoo import Entry, ZooResult, write
from chameleon_ray.report.zoo_page import render
from chameleon_ray.task import Task

OPTIONS = ("trials", "minutes", "address", "engine")
"""Of the command ``zoo``, named as the request's fields are."""


def tune_zoo(zoo: Zoo, progress: Progress) -> ZooResult:
    """Tunes all models of a zoo and leaves everything in its directory.

    Layers that several models have are tuned once, and the budget goes to the layer that promises
    most for the weighted sum of all models' latencies. A model that fails leaves the others.

    Args:
        zoo: What the user asked for.
        progress: Told what happens; its clock began with the command.

    Raises:
        UserError: The request cannot be met, or nothing came of any model.
        Stopped: The user interrupted it; the message says how to go on.
    """

    def settle() -> Site:
        folder = ZooFolder(directory(zoo.request), zoo.request.resume)
        models = [_model(member, folder, zoo.request.resume) for member in zoo.members]
        return Site(folder, models, ["zoo", zoo.request.model], OPTIONS)

    def conclude(session: TuningSession) -> ZooResult:
        result = _result(zoo, session)
        for model in session.models:
            if model.result is not None:
                keep(model)
        write(session.folder.summary, result)
        write_text(session.folder.report, render(result))
        return result

    return session(zoo.request, settle, conclude, progress)


def survey(zoo: Zoo, tell: Callable[[str], None]) -> tuple[list[Entry], Merged]:
    """Imports the models, without session them, and finds out which layers they share.

    Args:
        zoo: The models.
        tell: Is told which model is next.

    Raises:
        UserError: Something was asked for that does not exist, or there are no such cores.
    """
    search_of(zoo.request)
    try:
        _, cores = split(available(), zoo.request.threads)
    except ValueError as error:
        raise UserError(str(error)) from error
    layers: dict[str, tuple[Task, ...]] = {}
    failures: dict[str, str] = {}
    with ExitStack() as stack:
        process = ModelProcess(kind_of(zoo.request.target), cores, stack)
        for member in zoo.members:
            tell(f"importing {member.name}")
            try:
                layers[member.name] = process.prepare(member.request).tasks
            except FAULTS as error:
                failures[member.name] = str(error)
            process.clear()
    found = merged([(m.weight, layers[m.name]) for m in zoo.members if m.name in layers])
    entries = [
        Entry(
            member.name,
            member.request,
            member.weight,
            layers=len(layers.get(member.name, ())),
            shared=found.shared(task.digest for task in layers.get(member.name, ())),
            failure=failures.get(member.name, ""),
        )
        for member in zoo.members
    ]
    return entries, found


def _model(member: Member, folder: ZooFolder, resume: bool) -> Model:
    path = folder.model(member.name)
    run = RunFolder(path, existing=resume and (path / FILES["run"]).exists())
    return Model(replace(member.request, out=str(path)), run, member.weight, member.name)


def _entry(model: Model, layers: Merged) -> Entry:
    return Entry(
        name=model.name,
        request=model.request,
        weight=model.weight,
        folder=model.folder.path,
        layers=len(model.digests),
        shared=layers.shared(model.digests),
        result=model.result,
        failure=model.failure,
    )


def _result(zoo: Zoo, session: TuningSession) -> ZooResult:
    return ZooResult(
        request=zoo.request,
        folder=session.folder.path,
        entries=tuple(_entry(model, session.layers) for model in session.models),
        merged=session.layers,
        records=tuple(session.folder.database.read()),
        device=session.device,
        wall_seconds=session.elapsed(),
        device_busy_fraction=session.busy_share,
    )
