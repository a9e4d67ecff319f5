"""The end of one model: from its layers' winners to a verified library and a result."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import inf

from chameleon_ray.api.comparing import Comparison
from chameleon_ray.api.launching import Libraries, TunedLibrary, settled
from chameleon_ray.api.model_process import ModelProcess
from chameleon_ray.api.session_model import SessionModel, versions
from chameleon_ray.compiler.gpu_versions import gpu_versions
from chameleon_ray.compiler.prepared import Prepared
from chameleon_ray.ledger import Account
from chameleon_ray.measure.bench import Bench
from chameleon_ray.measure.example import Arrays
from chameleon_ray.options import Confirming, Search
from chameleon_ray.record import DEFAULT, Record
from chameleon_ray.report.layer_result import LayerOutcome
from chameleon_ray.report.progress import Progress
from chameleon_ray.report.result import Described, RunResult
from chameleon_ray.space import Config
from chameleon_ray.tuner import searched_by
from chameleon_ray.winners import Winner


@dataclass(frozen=True)
class CompiledModel:
    """A model that was compiled with its winners.

    Attributes:
        prepared: What is known of the model since the import that it was compiled from.
        library: The tuned library, verified, and timed where turns beside frameworks lack one.
        lost: Number of winners that could not be applied.
        comparison: Comparison with other frameworks and the untuned model.
        inside: Seconds of one execution of layers inside the model, by digest; those of a CPU only.
        apart: Whether no row of the batch depends on the others; None where that was not asked.
    """

    prepared: Prepared
    library: TunedLibrary
    lost: int
    comparison: Comparison = field(default_factory=Comparison)
    inside: Mapping[str, float] = field(default_factory=dict)
    apart: bool | None = None


@dataclass(frozen=True)
class SessionEnd:
    """The end of a session, as far as its models have it in common.

    Attributes:
        search: The search system.
        winners: Winner of each layer, by ``Task.layer``.
        records: Records of all layers and sessions.
        accounts: Account of every process, the command's own first.
        busy_share: Share of all runners' time in which they executed kernels in the search.
        elapsed: Seconds since the command began.
    """

    search: Search
    winners: Mapping[str, Winner]
    records: Sequence[Record]
    accounts: tuple[Account, ...]
    busy_share: float
    elapsed: float

    def seconds(self, prepared: Prepared) -> Counter[str]:
        """Returns the seconds by phase, summed over processes.

        Import and extraction are those of the one model only.
        """
        seconds: Counter[str] = Counter(prepared.seconds)
        for account in self.accounts[1:]:
            seconds.update({p: s for p, s in account.busy.items() if p not in prepared.seconds})
        return seconds


def compile_and_verify(
    model: SessionModel,
    prepared: Prepared,
    process: ModelProcess,
    bench: Bench | None,
    winners: Mapping[str, Winner],
    progress: Progress,
    timing: Callable[[], Confirming],
) -> CompiledModel:
    """Compiles the tuned model, and compares its outputs.

    Args:
        model: The model.
        prepared: The imported model: its layers, and examples that all have outputs.
        process: Process that holds the model. The untuned one is compiled already.
        bench: Runs whole models on the device tuned for; None where the process does.
        winners: Winners by ``Task.layer``, those of other models included.
        progress: Progress of the command, which is told what the end of it does not say.
        timing: Returns the settings of comparing and timing; called when either begins.

    Raises:
        UserError: The model cannot be compiled or run.
    """
    folder = model.folder
    chosen = kept_winners(model, prepared, winners)
    progress.phase(f"compiling {model.called}")
    applied = process.compile_tuned(chosen, folder.library, folder.tvm_database)
    progress.phase(f"verifying {model.called}")
    lost = lost_winners(model, chosen, applied, progress)
    library = settled(Libraries(*folder.libraries), prepared, process, bench, timing)
    launching = library.launching
    if model.name and launching is not None and launching.fault:  # else the end says so
        progress.note(model.saying(f"CUDA graphs are left out: {launching.fault}."))
    return CompiledModel(prepared, library, lost)


def kept_winners(
    model: SessionModel, prepared: Prepared, winners: Mapping[str, Winner]
) -> dict[str, tuple[Config, float]]:
    """Keeps a model's winners in its directory; see ``chosen_of``."""
    chosen = chosen_of(prepared, winners)
    model.folder.save_winners(chosen)
    return chosen


def chosen_of(prepared: Prepared, winners: Mapping[str, Winner]) -> dict[str, tuple[Config, float]]:
    """Returns the configuration and latency of a model's winners, by digest."""
    own = _own(prepared, winners)
    return {winner.task: (winner.config, winner.latency) for winner in own}


def _own(prepared: Prepared, winners: Mapping[str, Winner]) -> list[Winner]:
    """Returns a model's winners in the order of its layers."""
    return [winners[layer] for layer in dict.fromkeys(task.layer for task in prepared.tasks)]


def lost_winners(
    model: SessionModel,
    chosen: Mapping[str, tuple[Config, float]],
    applied: Collection[str],
    progress: Progress,
) -> int:
    """Counts the winners that could not be applied, and says so."""
    lost = sum(config != DEFAULT for config, _ in chosen.values()) - len(applied)
    if lost:
        progress.note(f"{lost} winners could not be applied to {model.called}.")
    return lost


def described(names: Sequence[str], arrays: Arrays) -> tuple[Described, ...]:
    """Returns name, shape and dtype of each array; names that are missing are empty."""
    pairs = zip([*names, *[""] * len(arrays)], arrays, strict=False)
    return tuple((name, array.shape, str(array.dtype)) for name, array in pairs)


def result_of(model: SessionModel, compiled: CompiledModel, end: SessionEnd) -> RunResult:
    """Returns the result that a finished model's summary and report are made of."""
    prepared = compiled.prepared
    request, digests = model.request, {task.digest for task in prepared.tasks}
    own = _own(prepared, end.winners)
    compared, library = compiled.comparison, compiled.library
    lost = f"{compiled.lost} winners could not be applied to the model." if compiled.lost else ""
    return RunResult(
        model=prepared.name,
        target=prepared.target,
        device=model.device,
        seed=request.seed,
        preset=request.preset,
        explorer=end.search.explorer,
        sampler=end.search.sampler,
        wall_seconds=end.elapsed,
        seconds=end.seconds(prepared),
        device_busy_fraction=end.busy_share,
        tasks=prepared.tasks,
        records=tuple(record for record in end.records if record.task in digests),
        outcomes=tuple(_outcome(winner, compiled, end) for winner in own),
        processes=end.accounts,
        untuned=compared.untuned,
        tuned=compared.tuned,
        verified=library.verified,
        launching=library.launching,
        comparison=compared.others,
        inputs=described(prepared.input_names, prepared.inputs),
        outputs=described(prepared.outputs, prepared.examples[0].outputs or ()),
        explanation=lost,
        folder=model.folder.path,
        entry=model.entry,
        apart=compiled.apart,
        settings=asdict(request),
        versions={**versions(), **(model.gpu or gpu_versions(prepared.target))},
    )


def _outcome(winner: Winner, compiled: CompiledModel, end: SessionEnd) -> LayerOutcome:
    """Returns what came of the search for a layer, whose winner this is."""
    tasks = compiled.prepared.tasks
    (space,) = (task.space for task in tasks if task.digest == winner.task)
    records = [record for record in end.records if record.task == winner.task]
    return LayerOutcome(
        winner.task,
        winner.config,
        winner.default_latency,
        winner.latency,
        winner.reason,
        winner.disturbed,
        searched_by(space, records, end.search),
        compiled.inside.get(winner.task, inf),
    )
