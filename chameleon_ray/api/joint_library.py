"""The finish of a run of buckets: one library for all, in which each is verified and timed."""

import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from chameleon_ray.api.compiled_model import CompiledModel, kept_winners, lost_winners
from chameleon_ray.api.device_group import DeviceGroup
from chameleon_ray.api.finishing import Finish
from chameleon_ray.api.imported import Imported
from chameleon_ray.api.launching import Libraries, settled
from chameleon_ray.api.padding import Padding
from chameleon_ray.api.session_model import SessionModel
from chameleon_ray.api.timekeeper import Timekeeper
from chameleon_ray.winners import Winner


class JointFinish(Finish):
    """Compiles all buckets into one library, and has their directories lead to it."""

    def all(
        self,
        groups: Sequence[DeviceGroup],
        imported: Imported,
        winners: Mapping[str, Winner],
        keeper: Timekeeper,
    ) -> dict[SessionModel, CompiledModel]:
        """Finishes every bucket; where one fails, the others do not matter."""
        compiled, ordered = dict[SessionModel, CompiledModel](), self.ordered(groups)
        padding = Padding(self.process, ordered[0][1].bench)
        parts = {model: model.folder.path / "scheduled.json" for model, _ in ordered}
        try:
            lost = self._scheduled(parts, imported, winners)
            if any(model.failure for model in parts):
                return compiled
            self._compiled(parts, imported)
        finally:
            for path in parts.values():
                path.unlink(missing_ok=True)
        for number, (model, group) in enumerate(ordered):
            left, prepared = len(ordered) - number, imported.prepared[model]
            with model.trying(self.progress):
                self.progress.phase(f"verifying {model.called}")
                files = Libraries(*model.folder.libraries, entry=model.entry)
                timing = partial(keeper.timing, left)
                library = settled(files, prepared, self.process, group.bench, timing)
                apart = padding.may_be_padded(model, imported.prepared)
                done = CompiledModel(prepared, library, lost[model], apart=apart)
                compared = self.compared(model, done, group, keeper.comparing(left))
                options = keeper.timing(left, compared=1)
                compiled[model] = self.timed(model, done, compared, group, options)
        return compiled

    def _scheduled(
        self,
        parts: Mapping[SessionModel, Path],
        imported: Imported,
        winners: Mapping[str, Winner],
    ) -> dict[SessionModel, int]:
        """Schedules every bucket into a file; returns the numbers of winners that were lost."""
        records, lost = self.folder.database.read(), dict[SessionModel, int]()
        for model, path in parts.items():
            with model.trying(self.progress):
                self.progress.phase(f"compiling {model.called}")
                self.hand_on(records, model, imported)
                chosen = kept_winners(model, imported.prepared[model], winners)
                self.process.prepare(model.request)
                applied = self.process.schedule(chosen, path, model.folder.tvm_database)
                lost[model] = lost_winners(model, chosen, applied, self.progress)
        return lost

    def _compiled(self, parts: Mapping[SessionModel, Path], imported: Imported) -> None:
        """Compiles the library, and puts a link to it into every bucket's directory."""
        self.progress.phase("compiling one library of all buckets")
        target = imported.prepared[next(iter(parts))].target
        library = self.folder.library
        entries = {model.entry: path for model, path in parts.items()}
        self.process.compile_entries(entries, target, library)
        self.process.clear()
        for model in parts:
            link = model.folder.library
            link.unlink(missing_ok=True)
            link.symlink_to(os.path.relpath(library, link.parent))
