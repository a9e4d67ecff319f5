"""The tuning of a session's layers: what no store knows is searched, and all winners are chosen."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from chameleon_ray.api.asked_layers import left_out
from chameleon_ray.api.asked_layers import told as asked
from chameleon_ray.api.choosing import chosen
from chameleon_ray.api.concurrency import in_thread
from chameleon_ray.api.device_group import DeviceGroup
from chameleon_ray.api.imported import Imported
from chameleon_ray.api.known_enough import refreshed
from chameleon_ray.api.locked import kept, locked_winners
from chameleon_ray.api.model_process import ModelProcess
from chameleon_ray.api.searching import Searching
from chameleon_ray.api.stored_layers import StoredLayers
from chameleon_ray.api.timekeeper import Timekeeper
from chameleon_ray.api.wholes import Wholes, clear
from chameleon_ray.search.system import SearchSystem
from chameleon_ray.winners import Winner


async def tuned(
    searching: Searching,
    system: SearchSystem,
    groups: Sequence[DeviceGroup],
    imported: Imported,
    process: ModelProcess,
    stack: ExitStack,
) -> tuple[Timekeeper, dict[str, Winner]]:
    """Searches the layers that the store does not know, and chooses all winners, by digest.

    Where there is a lock, it has the winners, and nothing is searched.

    Raises:
        UserError: No measurement of any model succeeded, or the lock does not fit.
    """
    site, progress = searching.site, searching.progress
    for model in site.models:
        clear(model.folder.path)
    if site.request.locked is not None:
        winners = locked_winners(Path(site.request.locked), imported.layers.tasks)
        digests = (task.digest for task in imported.layers.tasks)
        imported = replace(imported, settled=dict.fromkeys(digests, "locked"))
        return await searching.run(system, groups, imported, process, stack), winners
    if only := site.request.only:
        tasks = imported.layers.tasks
        imported = replace(imported, settled=left_out(only, tasks))
        progress.note(asked(only, tasks))
    stored = StoredLayers(site, searching.setup, groups, progress)
    imported = await in_thread(stored.recall, imported)
    imported = replace(imported, locked=kept(site.folder.lock, imported.layers.tasks))
    with stored.keeping(imported):
        keeper = await searching.run(system, groups, imported, process, stack)
        if site.request.refresh:
            progress.note(refreshed(imported, progress))
        stored.winners = await chosen(site, groups, imported, progress, *keeper.confirming())
        if count := keeper.wholes():
            (model,), bench, options = site.left(), groups[0].bench, site.request.confirming
            wholes = Wholes(model, imported.prepared[model], process, bench, options)
            stored.winners = await in_thread(wholes.best, stored.winners, count, progress)
    return keeper, dict(stored.winners)
