"""The choice of a session: the lowering and the winner of every layer of its models."""

from collections.abc import Collection, Mapping, Sequence

from chameleon_ray.api.concurrency import together
from chameleon_ray.api.device_group import DeviceGroup
from chameleon_ray.api.imported import Imported
from chameleon_ray.api.session_model import demand_success
from chameleon_ray.api.site import Site
from chameleon_ray.options import Confirming
from chameleon_ray.record import Record
from chameleon_ray.report.format import clock, counted
from chameleon_ray.report.progress import Progress
from chameleon_ray.task import Task
from chameleon_ray.winners import LEFT_OUT, Winner, corrected, left_out


async def chosen(
    site: Site,
    groups: Sequence[DeviceGroup],
    imported: Imported,
    progress: Progress,
    options: Confirming,
    seconds: float | None,
) -> dict[str, Winner]:
    """Chooses winners by ``Task.layer``; candidates found wrong are recorded as such.

    The task of a winner is the layer's chosen lowering.

    Args:
        site: Directories and models of the session.
        groups: Device groups of the session.
        imported: The imported models, and their layers.
        progress: Progress of the command.
        options: Settings of the choice.
        seconds: Seconds after which winners are taken as the search timed them; None for never.

    Raises:
        UserError: No measurement of any model succeeded.
    """
    progress.phase("choosing winners")
    records, tasks = site.folder.database.read(), imported.layers.tasks
    by_task = _by_task(records, tasks)
    _demand_successes(site, imported, by_task, progress)
    known, told = imported.prepared, (by_task, options, progress, seconds, imported.earlier)
    choosing = [group.choose(group.own(tasks, known), *told) for group in groups]
    compared = [layer for layers in await together(choosing) for layer in layers]
    site.folder.database.append(corrected(records, [one for layer in compared for one in layer]))
    layer_of = {task.digest: task.layer for task in tasks}
    winners = {layer_of[winner.task]: winner for winner, *_ in compared}
    out = {layer_of[digest] for digest, why in imported.settled.items() if why == LEFT_OUT}
    winners |= {layer: left_out(winners[layer]) for layer in out & winners.keys()}
    _tell_late(winners.values(), progress)
    return winners


def _demand_successes(
    site: Site, imported: Imported, records: Mapping[str, Sequence[Record]], progress: Progress
) -> None:
    """Gives up the models of which nothing was measured with success.

    Those that belong together need one success among them: the others keep default schedules.

    Raises:
        UserError: None is left.
    """
    if site.together:
        known = [task for model in site.left() for task in imported.prepared[model].tasks]
        demand_success(known, records, before(progress))
        return
    for model in site.left():
        with model.trying(progress):
            layers, path = imported.prepared[model].tasks, model.folder.untuned_library
            demand_success(layers, records, before(progress), path)
    site.left()


def before(progress: Progress) -> str:
    """Tells how much of a limited time had gone by when the search began."""
    began = next((phase.began for phase in progress.phases if phase.name == "searching"), None)
    if progress.whole_limit is None or began is None:
        return ""
    whole = clock(progress.whole_limit)
    return f"as importing, compiling and verifying it untuned took {clock(began)} of {whole}"


def _by_task(records: Sequence[Record], tasks: Sequence[Task]) -> dict[str, list[Record]]:
    found: dict[str, list[Record]] = {task.digest: [] for task in tasks}
    for record in records:
        found.get(record.task, []).append(record)
    return found


def _tell_late(winners: Collection[Winner], progress: Progress) -> None:
    if late := sum(not winner.confirmed for winner in winners):
        progress.note(
            f"The time was up before {late} of {counted(len(winners), 'winner')} of layers could "
            "be timed once more; --resume does so."
        )
