"""Device groups: devices of one type, and the models of a session that are tuned for them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import MappingProxyType

from chameleon_ray.api.concurrency import within
from chameleon_ray.api.gpu_assignment import demand_same, missing, surveyed
from chameleon_ray.api.runners_bench import RunnersBench
from chameleon_ray.api.session_model import SessionModel
from chameleon_ray.compiler.codegen.link import GlueError, find_compiler
from chameleon_ray.compiler.kind import TargetKind
from chameleon_ray.compiler.prepared import Prepared
from chameleon_ray.engine import Engine
from chameleon_ray.errors import UserError
from chameleon_ray.lowerings import by_layer
from chameleon_ray.measure.bench import Bench
from chameleon_ray.measure.calibrated import Surveyed
from chameleon_ray.measure.measurer import Measurer
from chameleon_ray.options import Confirming, Request
from chameleon_ray.record import Record
from chameleon_ray.report.progress import Progress
from chameleon_ray.task import Task
from chameleon_ray.tuner import Tuner
from chameleon_ray.vendor import LIBRARIES, library_of
from chameleon_ray.winners import Earlier, Winner, choose_lowering, fastest, saving


@dataclass
class DeviceGroup:
    """Devices of one type; a session may have several groups of them.

    Attributes:
        measurer: Measurer with a runner for each of the devices; all groups share its builders.
        models: Models of the session whose targets the devices are for; at least one.
        bench: Bench that runs whole models on the devices; None where the model's process does.
        libraries: Vendor's libraries whose kernels are candidates.
    """

    measurer: Measurer
    models: list[SessionModel]
    bench: Bench | None = None
    libraries: tuple[str, ...] = ()

    @property
    def left(self) -> list[SessionModel]:
        """Models of the group that have not failed."""
        return [model for model in self.models if not model.failure]

    @property
    def device(self) -> str:
        """Name of the devices; empty until it is known."""
        return self.models[0].device

    def digests(self, prepared: Mapping[SessionModel, Prepared]) -> set[str]:
        """Returns the digests of all layers of the group's models that have not failed."""
        return {task.digest for model in self.left for task in prepared[model].tasks}

    def own(self, tasks: Iterable[Task], prepared: Mapping[SessionModel, Prepared]) -> list[Task]:
        """Returns those of a session's tasks that are of the group's models."""
        digests = self.digests(prepared)
        return [task for task in tasks if task.digest in digests]

    def share(
        self, tuners: Sequence[Tuner], prepared: Mapping[SessionModel, Prepared]
    ) -> list[Tuner]:
        """Returns the tuners of the group's layers; they try the kernels of its libraries, too."""
        digests = self.digests(prepared)
        own = [tuner for tuner in tuners if tuner.task.digest in digests]
        for tuner in own:
            tuner.libraries = tuple(n for n in self.libraries if n in tuner.task.vendor)
        return own

    @contextmanager
    def trying(self, progress: Progress) -> Iterator[None]:
        """Turns a ``UserError`` in the block into the failure of the group's models alone."""
        try:
            yield
        except UserError as error:
            for model in self.left:
                model.fail(str(error), progress)

    async def survey(self, kind: TargetKind, progress: Progress) -> None:
        """Asks a runner which GPU it has, and completes the targets that leave the GPU open."""
        with self.trying(progress):
            found = await surveyed(self.measurer)
            self._settle_libraries(found, progress)
            for model in self.models:
                model.device, model.gpu = found.device, dict(found.versions)
                if model.request.target == kind.name:
                    model.request = replace(model.request, target=found.target)
                with model.trying(progress):
                    demand_same(model.request.target, found)

    def _settle_libraries(self, found: Surveyed, progress: Progress) -> None:
        """Settles whose kernels are candidates: those of libraries that a runner has.

        This machine must be able to link what calls them. What is left out is said.
        """
        request = self.models[0].request
        if not request.vendor or request.memory_aware:  # as algorithms take workspaces
            return
        lacking = dict(found.lacking)
        try:
            find_compiler()
        except GlueError as error:
            lacking = dict.fromkeys(LIBRARIES, str(error))
        for trouble in dict.fromkeys(lacking.values()):
            names = [name for name in LIBRARIES if lacking.get(name) == trouble]
            progress.note(f"Kernels of {' and '.join(names)} are left out: {trouble}")
        self.libraries = tuple(name for name in LIBRARIES if name not in lacking)

    async def explore(self, engine: Engine, progress: Progress) -> None:
        """Searches the layers of the group's models until the engine's budget is spent."""
        with self.trying(progress):
            await engine.run()

    async def choose(
        self,
        tasks: Sequence[Task],
        records: Mapping[str, Sequence[Record]],
        options: Confirming,
        progress: Progress,
        seconds: float | None = None,
        earlier: Mapping[str, Earlier] = MappingProxyType({}),
    ) -> list[list[Winner]]:
        """Chooses the winners of some layers; there are none if the devices fail.

        Layers that save most come first, as there may be no time for all.

        Args:
            tasks: Tasks of the group's models.
            records: Records by task digest.
            options: Settings of the choice.
            progress: Progress of the command, which is told what goes wrong.
            seconds: Seconds after which winners are taken as the search timed them.
            earlier: Winners of earlier runs, by task digest.

        Returns:
            For each layer its winner, and after it those of other lowerings that were compared.
        """
        with self.trying(progress):
            known = {task.digest: self._usable(records[task.digest]) for task in tasks}
            layers = by_layer(tasks, lambda task: task).values()
            order = sorted(layers, key=lambda one: -saving(one, known, options))
            choosing = [
                choose_lowering(one, known, self.measurer, options, earlier) for one in order
            ]
            found = await within(seconds, choosing)
            pairs = zip(order, found, strict=True)
            return [winners or [fastest(one, known, options, earlier)] for one, winners in pairs]
        return []

    def _usable(self, records: Sequence[Record]) -> list[Record]:
        """Leaves out kernels of libraries that are no candidates, or not any more."""
        return [r for r in records if library_of(r.config) in ("", *self.libraries)]


def wanted(models: Sequence[SessionModel]) -> dict[str, tuple[str, ...]]:
    """Returns the targets of a session, and the devices that earlier sessions timed each on."""
    known: dict[str, tuple[str, ...]] = {}
    for model in models:
        target = model.request.target
        known[target] = (*known.get(target, ()), model.folder.device)
    return known


def device_groups(
    measurers: Mapping[tuple[str, ...], Measurer],
    models: Sequence[SessionModel],
    request: Request,
    progress: Progress,
) -> list[DeviceGroup]:
    """Makes the groups of a session; a model for whose target there is no device fails.

    Args:
        measurers: Measurers by the targets that their devices are for.
        models: Models of the session.
        request: Request that the models have in common.
        progress: Progress of the command, which is told what fails.
    """
    groups, elsewhere = [], request.on_cluster or len(measurers) > 1
    for targets, measurer in measurers.items():
        own = [model for model in models if model.request.target in targets]
        bench = RunnersBench(measurer.runners) if elsewhere else None
        groups.append(DeviceGroup(measurer, own, bench))
    settled = {target for targets in measurers for target in targets}
    for model in models:
        if model.request.target not in settled:
            model.fail(missing(model.request.target), progress)
    return groups


def portions(trials: int | None, layers: Sequence[int]) -> list[int | None]:
    """Shares out all trials in proportion to numbers of layers; None means no limit for any."""
    if trials is None:
        return [None] * len(layers)
    before, portion, total = 0, list[int | None](), max(sum(layers), 1)
    for count in layers:
        portion.append(trials * (before + count) // total - trials * before // total)
        before += count
    return portion
