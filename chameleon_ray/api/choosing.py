"""The choice of a session: the lowering and the winner of every layer of its models."""

from collections.abc import Sequence

from chameleon_ray.api.concurrency import together
from chameleon_ray.api.device_group import DeviceGroup
from chameleon_ray.api.imported import Imported
from chameleon_ray.api.site import Site
from chameleon_ray.api.tuned_model import demand_success
from chameleon_ray.record import Record
from chameleon_ray.report.progress import Progress
from chameleon_ray.winners import Winner, corrected


async def chosen(
    site: Site, groups: Sequence[DeviceGroup], imported: Imported, progress: Progress
) -> dict[str, Winner]:
    """Chooses every layer's winner; candidates found wrong are recorded as such.

    Returns:
        Winners by ``Task.layer``; a winner's task is the layer's chosen lowering.

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
    options = site.request.confirming
    choosing = []
    for group in groups:
        known = group.digests(imported.prepared)
        own = [task for task in tasks if task.digest in known]
        choosing.append(group.choose(own, by_task, options, progress))
    compared = [layer for own in await together(choosing) for layer in own]
    winners = [winner for layer in compared for winner in layer]
    site.folder.database.append(corrected(records, winners))
    layer_of = {task.digest: task.layer for task in tasks}
    return {layer_of[winner.task]: winner for winner, *_ in compared}
