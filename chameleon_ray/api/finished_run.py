"""Applies the winners of a finished run to a model, and times the run's libraries."""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from chameleon_ray.api.algorithms import check
from chameleon_ray.api.comparing import Comparer, Comparison
from chameleon_ray.api.first_verdict import judge
from chameleon_ray.api.launching import Libraries, settled
from chameleon_ray.api.model_process import ModelProcess
from chameleon_ray.api.run_timing import demand, entry_of, in_turns, inputs_of, process_like
from chameleon_ray.api.session_model import circumstances_of
from chameleon_ray.api.stored_layers import stored_winners
from chameleon_ray.api.timing_cores import cores_like
from chameleon_ray.compiler.frontend.frameworks import FRAMEWORKS
from chameleon_ray.compiler.gpu_versions import DRIVER
from chameleon_ray.compiler.prepared import Prepared
from chameleon_ray.errors import UserError
from chameleon_ray.folder import RunFolder, file_name
from chameleon_ray.layer_names import title
from chameleon_ray.measure.bench import MAIN
from chameleon_ray.measure.cores import available
from chameleon_ray.options import Comparing, Confirming, Request, Storing
from chameleon_ray.report.applied import Applied
from chameleon_ray.report.headline import Headline
from chameleon_ray.report.result import Latency, Launching, Verified
from chameleon_ray.space import Config
from chameleon_ray.store.knowledge import fits
from chameleon_ray.store.store import NONE, Store, open_store
from chameleon_ray.vendor import LIBRARIES, libraries_used


def apply(
    path: Path,
    model: str,
    inputs: tuple[str, ...] = (),
    examples: tuple[str, ...] = (),
    store: str | None = NONE,
    tell: Callable[[str], None] = lambda sentence: None,
) -> Applied:
    """Compiles a model with the winners of a finished run, and of a store for other layers.

    The run's own model goes into its directory, another one into ``applied/NAME`` below it. Where
    this machine has no device to run it on, it is compiled only.

    Args:
        path: The run directory.
        model: The run's model, or one with layers in common with it.
        inputs, examples, store: As for ``tune``.
        tell: Called with a sentence about the store.

    Raises:
        UserError: The model cannot be used, shares no layer, or the run is not finished.
    """
    folder = RunFolder(path, existing=True)
    identity, winners = folder.identity() or {}, folder.load_winners()
    request = _request(identity, model, inputs, examples)
    with ExitStack() as stack:
        stack.callback(folder.close)
        process = process_like(identity, stack)
        prepared = process.prepare(request)
        own = _in_common(identity, winners, prepared, path)
        known = own | _from_store(open_store(store, Storing(), tell), identity, prepared, own)
        if not known:
            raise UserError(f"{model} has no layer in common with the run in {path}.")
        files = _files(folder, identity, prepared)
        if able := process.device() is not None:
            prepared = _judged(request, prepared, process, files.untuned)
        applied = _compiled(known, files, folder.tvm_database.name, process)
        verified, launching = _verified(files, prepared, process) if able else (None, None)
        needs, layers = _needs(applied, identity), len({task.layer for task in prepared.tasks})
        return Applied(files.tuned, len(applied), layers, verified, launching, *needs)


def bench(path: Path, options: Confirming, compare: Sequence[str] = ()) -> Headline:
    """Times a finished run's model in turns with untuned TVM, and with frameworks.

    Args:
        path: The run directory.
        options: Settings of the timing: how often each has its turn, and for how long in all.
        compare: Names of the frameworks.

    Raises:
        UserError: A library is missing or does not run, there is no device to run it on, or no
            framework of a name.
        FolderError: The directory is not a finished run's.
    """
    for name in compare:
        check("framework", name, FRAMEWORKS)
    folder = RunFolder(path, existing=True)
    try:
        identity = folder.identity() or {}
        libraries = {folder.library: entry_of(identity), folder.untuned_library: MAIN}
        demand(libraries)
        found = _compared(folder, identity, options, compare) if compare else Comparison()
        if not found.complete:
            found = _completed(found, folder, libraries, options)
    finally:
        folder.close()
    about = (identity["model"], cores_like(identity).device or identity["device"])
    return Headline(*about, found.tuned, found.untuned, found.others, path)


def _completed(
    found: Comparison, folder: RunFolder, libraries: Mapping[Path, str], options: Confirming
) -> Comparison:
    """Times in a duel what turns beside frameworks lack; these stay if a library does not run."""
    try:
        timed = in_turns(folder, list(libraries.items()), options)
    except UserError:
        if found.tuned is None:
            raise
        return found
    return found.completed(*map(Latency.of, timed))


def _compared(
    folder: RunFolder, identity: dict[str, Any], options: Confirming, names: Sequence[str]
) -> Comparison:
    """Times a run's model in turns with frameworks and untuned TVM."""
    asked = identity["options"]
    request = Request(
        model=asked["model"],
        inputs=tuple(asked["inputs"]),
        examples=tuple(asked.get("examples", ())),
        seed=asked["seed"],
        compare=tuple(names),
        comparing=Comparing(rounds=options.model_repeats, seconds=options.model_seconds),
    )
    with ExitStack() as stack:
        own, about = cores_like(identity), (request, folder.library, inputs_of(identity))
        comparer = Comparer(own.kind, own.cores, stack, available(), own.copies)
        entry, untuned = entry_of(identity), folder.untuned_library
        return comparer.compare(*about, entry=entry, untuned=untuned)


def _in_common(
    identity: dict[str, Any],
    winners: Mapping[str, tuple[Config, float]],
    prepared: Prepared,
    path: Path,
) -> dict[str, tuple[Config, float]]:
    """Returns the winners of a run's layers that a model has, too, in the same spaces.

    Raises:
        UserError: One is no configuration of its layer.
    """
    tasks, own = {task.digest: task for task in prepared.tasks}, identity["spaces"]
    known = {d: won for d, won in winners.items() if d in tasks and tasks[d].space.digest == own[d]}
    for task, (config, _) in known.items():
        if not fits(config, tasks[task]):
            raise UserError(
                f"{path}/winners.json has a winner that its layer {title(tasks[task])} does not "
                "have, and is damaged; finish the run again with --resume."
            )
    return known


def _judged(request: Request, prepared: Prepared, process: ModelProcess, untuned: Path) -> Prepared:
    """Compiles the untuned model, and compares its outputs with the original's."""
    process.compile_untuned(untuned)
    return judge(request, prepared, process, untuned, None, Confirming.first_seconds)[0]


def _compiled(
    known: Mapping[str, tuple[Config, float]],
    files: Libraries,
    database: str,
    process: ModelProcess,
) -> list[Config]:
    """Compiles a model with winners; returns the configurations that were applied."""
    applied = process.compile_tuned(known, files.tuned, files.tuned.with_name(database))
    return [known[digest][0] for digest in applied]


def _files(folder: RunFolder, identity: dict[str, Any], prepared: Prepared) -> Libraries:
    """Returns the files of a model's libraries, in a folder of its own unless it is the run's.

    A bucket has one, too, as the run's library is that of all buckets.
    """
    own = prepared.digest == identity["model_digest"] and entry_of(identity) == MAIN
    place = folder.path / "applied" / file_name(prepared.name) if not own else folder.path
    place.mkdir(parents=True, exist_ok=True)
    tuned, graphs, untuned = (place / file.name for file in folder.libraries)
    return Libraries(tuned, graphs, untuned)


def _needs(
    configs: Sequence[Config], identity: dict[str, Any]
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Returns the vendor's libraries of configurations, and the versions that the run had."""
    return libraries_used(configs), _versions(identity)


def _versions(identity: dict[str, Any]) -> dict[str, str]:
    """Returns the versions that a run was measured with; an early run has noted none."""
    return dict(identity.get("circumstances", {}).get("versions", {}))


def _from_store(
    store: Store | None, identity: dict[str, Any], prepared: Prepared, known: Collection[str]
) -> dict[str, tuple[Config, float]]:
    """Returns the store's winners, on the run's device, of a model's layers that are not known."""
    layers = {task.layer for task in prepared.tasks if task.digest in known}
    left = [task for task in prepared.tasks if task.layer not in layers and task.space.knobs]
    templates = tuple(identity["options"].get("template", ()))
    had = _versions(identity)
    gpu = {name: had[name] for name in (DRIVER, *LIBRARIES) if name in had}
    circumstances = circumstances_of(identity["device"], identity["target"], templates, gpu or None)
    return stored_winners(store, left, circumstances, Storing())


def _verified(
    files: Libraries, prepared: Prepared, process: ModelProcess
) -> tuple[Verified, Launching | None]:
    """Compares a tuned library's outputs, and settles how its kernels are launched."""
    if process.kind.graphs is None:
        return process.check(files.tuned, prepared), None
    done = settled(files, prepared, process, None, Confirming)
    return done.verified, done.launching


def _request(
    identity: dict[str, Any], model: str, inputs: tuple[str, ...], examples: tuple[str, ...]
) -> Request:
    """Makes a request to lower a model as the run's own was."""
    return Request(
        model=model,
        inputs=inputs,
        examples=examples,
        target=identity["target"],
        layout=identity["layout"],
        precision=identity.get("precision", "float32"),
        seed=identity["options"]["seed"],
        memory_aware=identity["options"].get("memory_aware", False),
        template=tuple(identity["options"].get("template", ())),
    )
