"""The choice of a session: the winner of every layer of its models."""

from collections.abc import Sequence

from chameleon_ray.api.concurrency import together
from chameleon_ray.api.device_group import DeviceGroup
from chameleon_ray.api.imported import Imported
from chameleon_ray.api.site import Site
from chameleon_ray.api.tuned_model import demand_success
from chameleon_ray.options import Confirming
from chameleon_ray.record import Record
from chameleon_ray.report.format import counted
from chameleon_ray.report.progress import Progress
from chameleon_ray.winners import Winner, corrected


async def chosen(
    site: Site,
    groups: Sequence[DeviceGroup],
    imported: Imported,
    progress: Progress,
    options: Confirming,
    seconds: float | None,
) -> dict[str, Winner]:
    """Chooses every layer's winner, by digest; candidates found wrong are recorded as such.

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
    by_task: dict[str, list[Record]] = {task.digest: [] for task in tasks}
    for record in records:
        by_task.get(record.task, []).append(record)
    for model in site.left():
        with model.trying(progress):
            layers = imported.prepared[model].tasks
            demand_success(layers, [r for task in layers for r in by_task[task.digest]])
    site.left()
    choosing = []
    for group in groups:
        known = group.digests(imported.prepared)
        own = [task for task in tasks if task.digest in known]
        choosing.append(group.choose(own, by_task, options, progress, seconds, imported.earlier))
    winners = [winner for own in await together(choosing) for winner in own]
    _tell_late(winners, progress)
    site.folder.database.append(corrected(records, winners))
    return {winner.task: winner for winner in winners}


def _tell_late(winners: Sequence[Winner], progress: Progress) -> None:
    if late := sum(not winner.confirmed for winner in winners):
        progress.note(
            f"The time was up before {late} of {counted(len(winners), 'winner')} of layers could "
            "be timed once more; --resume does so."
        )
