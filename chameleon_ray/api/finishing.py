"""The finish of a session: every model compiled with its winners, verified, timed and compared."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

from chameleon_ray.api.comparing import Comparer, Comparison, left_out
from chameleon_ray.api.compiled_model import CompiledModel, compile_and_verify
from chameleon_ray.api.contestants import begins, has_room
from chameleon_ray.api.device_group import DeviceGroup
from chameleon_ray.api.failed_step import StepError
from chameleon_ray.api.imported import Imported
from chameleon_ray.api.launching import Libraries, timed
from chameleon_ray.api.model_process import ModelProcess
from chameleon_ray.api.session_model import SessionModel
from chameleon_ray.api.timekeeper import Timekeeper
from chameleon_ray.compiler.prepared import Prepared
from chameleon_ray.folder import RunFolder
from chameleon_ray.options import Confirming
from chameleon_ray.record import Record
from chameleon_ray.report.progress import Progress
from chameleon_ray.winners import Winner

LOST = "The process that held the model was lost, perhaps for want of memory; it is imported again."


@dataclass
class Finish:
    """Finishes the models of a session, one after the other.

    Attributes:
        folder: The session's directory, which has the records of all models.
        process: Process that holds one model at a time.
        comparer: Times finished models in turns with other frameworks.
        progress: Progress of the command.
    """

    folder: RunFolder
    process: ModelProcess
    comparer: Comparer
    progress: Progress

    def all(
        self,
        groups: Sequence[DeviceGroup],
        imported: Imported,
        winners: Mapping[str, Winner],
        keeper: Timekeeper,
    ) -> dict[SessionModel, CompiledModel]:
        """Finishes every model; the one that the process still holds comes first."""
        process, compiled = self.process, dict[SessionModel, CompiledModel]()
        records, ordered = self.folder.database.read(), self.ordered(groups)
        for number, (model, group) in enumerate(ordered):
            left = len(ordered) - number
            with model.trying(self.progress):
                self.hand_on(records, model, imported)
                with self.beginning(model, imported.prepared[model], group, keeper.comparing(left)):
                    if process.lost:
                        self.progress.note(LOST)
                    process.prepare(model.request)
                    done = compile_and_verify(
                        model,
                        imported.prepared[model],
                        process,
                        group.bench,
                        winners,
                        self.progress,
                        partial(keeper.timing, left),
                    )
                    process.clear()  # the model is compiled, and frameworks need the memory
                    compared = self.compared(model, done, group, keeper.comparing(left))
                done = self.timed(model, done, compared, group, keeper.timing(left, compared=1))
                inside = self.inside(model, done, group, keeper.inside(left))
                compiled[model] = replace(done, inside=inside)
        return compiled

    def ordered(self, groups: Sequence[DeviceGroup]) -> list[tuple[SessionModel, DeviceGroup]]:
        """Returns the models that have not failed; the one that the process holds comes first."""
        pairs = [(model, group) for group in groups for model in group.left]
        return sorted(pairs, key=lambda pair: not self.process.holds(pair[0].request))

    def hand_on(self, records: Sequence[Record], model: SessionModel, imported: Imported) -> None:
        """Writes a model's own records into its directory, where that is not the session's."""
        if model.folder is not self.folder:
            digests = {task.digest for task in imported.prepared[model].tasks}
            model.folder.database.append([r for r in records if r.task in digests])

    @contextmanager
    def beginning(
        self, model: SessionModel, prepared: Prepared, group: DeviceGroup, seconds: float | None
    ) -> Iterator[None]:
        """Has frameworks load a model while it is compiled, where nothing is timed meanwhile.

        What the block has not compared is ended with it.

        Args:
            model: The model.
            prepared: The imported model.
            group: Devices of the model.
            seconds: Seconds that there are for comparing it; None for as many as it takes.
        """
        request, kind, untuned = model.request, self.process.kind, model.folder.untuned_library
        wanted = begins(request, kind, group.bench is not None)
        late = seconds is not None and seconds <= 0
        try:
            if wanted and not late and has_room(request, untuned):
                self.comparer.begin(request, prepared.inputs, untuned)
            yield
        finally:
            self.comparer.end()

    def timed(
        self,
        model: SessionModel,
        done: CompiledModel,
        compared: Comparison,
        group: DeviceGroup,
        options: Confirming,
    ) -> CompiledModel:
        """Times a verified model in a duel with the untuned one, unless both were compared.

        Args:
            model: The model.
            done: What it was compiled to.
            compared: What came of comparing it.
            group: Devices of the model.
            options: Settings of the timing.

        Raises:
            UserError: The tuned or the untuned library cannot be run.
        """
        if compared.complete:
            return replace(done, comparison=compared)
        files = Libraries(*model.folder.libraries, entry=model.entry)
        library = timed(done.library, files, done.prepared, self.process, group.bench, options)
        compared = compared.completed(library.tuned, library.untuned)
        return replace(done, library=library, comparison=compared)

    def inside(
        self, model: SessionModel, done: CompiledModel, group: DeviceGroup, seconds: float
    ) -> Mapping[str, float]:
        """Times the layers of a model that is verified inside it; returns seconds by digest.

        Where there are no seconds for it, there are none.
        """
        wanted = self.process.kind.gpus is None and done.library.verified.ok
        if not wanted or seconds <= 0:
            return {}
        inputs = done.prepared.inputs
        try:
            return self.process.profile([model.folder.library], inputs, seconds, group.bench)[0]
        except StepError as error:  # the library is verified and timed without that
            self.progress.note(model.saying(f"Its layers were not timed inside it: {error.why}."))
            return {}

    def compared(
        self, model: SessionModel, done: CompiledModel, group: DeviceGroup, seconds: float | None
    ) -> Comparison:
        """Times a verified model in turns with the untuned one and the frameworks asked for."""
        request = model.request
        if not request.compare:
            return Comparison()
        if not done.library.verified.ok:
            return left_out(request.compare, "the tuned model is wrong")
        if group.bench is not None:
            return left_out(request.compare, "the model was timed on another machine")
        self.progress.phase(f"timing {model.called} in turns with other frameworks")
        arrays = done.prepared.inputs
        library, precision = model.folder.library, done.prepared.precision
        about = (request, library, arrays, seconds, model.entry, precision)
        return self.comparer.compare(*about, model.folder.untuned_library)
