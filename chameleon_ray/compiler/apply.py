"""Applies winners to a lowered model, and writes its library and a MetaSchedule database."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tvm
from tvm.s_tir import meta_schedule as ms

from chameleon_ray.compiler.codegen import vendor_glue
from chameleon_ray.compiler.codegen.link import link
from chameleon_ray.compiler.frontend.model import reason
from chameleon_ray.compiler.kind import TargetKind
from chameleon_ray.compiler.passes.elementary import left_to_tvm
from chameleon_ray.compiler.passes.lower import lower_plainly
from chameleon_ray.compiler.spaces.extract import is_layer, layer_digest, layer_module
from chameleon_ray.compiler.spaces.sketch import Program
from chameleon_ray.errors import UserError
from chameleon_ray.record import DEFAULT
from chameleon_ray.space import Config
from chameleon_ray.task import Task
from chameleon_ray.vendor import CALLS, library_of

WORKSPACE = ".linking"
"""Folder of object files beside the library that is linked of them."""


class UncompilableError(UserError):
    """A model that TVM cannot compile, in one sentence."""


def schedule_layers(
    module: Any, tasks: Mapping[str, Task], winners: Mapping[str, Config], kind: TargetKind
) -> tuple[Any, set[str]]:
    """Puts every winner's schedule into the model, in place of the layer that it is for.

    Args:
        module: Relax module as ``lower`` gives it.
        tasks: Tasks by digest.
        winners: Configurations by task digest; a task that is left out keeps its default, and so
            does one whose configuration is empty.
        kind: Kind of the target.

    Returns:
        The new module, and the digests of the winners that were applied.
    """
    target = next(iter(tasks.values())).target if tasks else ""
    scheduled = {
        digest: _chosen(Program.loads(tasks[digest].program), config, kind)["main"]
        for digest, config in winners.items()
        if config != DEFAULT
    }
    functions, applied = {}, set()
    for variable, function in module.functions.items():
        digest = layer_digest(function, target) if is_layer(function) else ""
        if digest in scheduled:
            function = scheduled[digest].with_attr("global_symbol", variable.name_hint)
            function = function.with_attr("tirx.is_scheduled", True)
            applied.add(digest)
        functions[variable] = function
    return tvm.IRModule(functions, attrs=module.attrs), applied


def layers_of(module: Any, target: str) -> dict[str, str]:
    """Returns the digests of a lowered model's layers by the names of their functions."""
    return {
        variable.name_hint: layer_digest(function, target)
        for variable, function in module.functions.items()
        if is_layer(function)
    }


def _chosen(program: Program, config: Config, kind: TargetKind) -> Any:
    """Returns a layer's module as a configuration has it: scheduled, or a vendor's call."""
    if library_of(config):
        return kind.vendor_call(program.module, config)
    return program.schedule(config, kind.generator).mod


def compile_model(module: Any, target: str, kind: TargetKind, path: Path) -> None:
    """Compiles a model into a shared library that ``tvm.runtime.load_module`` loads.

    What calls a vendor's libraries is linked in where layers need it.

    Raises:
        LinkError: There is no linker, or it failed.
        GlueError: Layers call a vendor's libraries, and there is no C compiler, or it failed.
    """
    executable = kind.compile_model(module, tvm.target.Target(json.loads(target)))
    _write(executable, path, module)


def compile_graphs(module: Any, target: str, kind: TargetKind, path: Path) -> bool:
    """Compiles a model into a library that launches its kernels as recorded graphs.

    Args:
        module: Relax module as for ``compile_model``.
        target: Complete target, as JSON.
        kind: Kind of the target; the library is made where its models can have graphs.
        path: File of the library.

    Returns:
        Whether there is anything to record. Where there is not, there is no library.
    """
    if kind.graphs is None:
        return False
    made = tvm.target.Target(json.loads(target))
    with tvm.transform.PassContext(config=dict(kind.graphs.options)):
        executable = kind.compile_model(module, made)
    recorded = kind.graphs.function in executable.as_text()
    if recorded:
        _write(executable, path, module)
    return recorded


def _write(executable: Any, path: Path, module: Any) -> None:
    """Links a model's executable to a shared library, which is there as a whole or not at all.

    What calls a vendor's libraries is linked in where layers of the module need it.
    """
    used = {str(f.attrs[CALLS]) for f in module.functions.values() if CALLS in (f.attrs or {})}
    linking = vendor_glue.linking(sorted(used)) if used else link
    temporary, workspace = path.with_name(f".{path.name}"), path.with_name(WORKSPACE)
    shutil.rmtree(workspace, ignore_errors=True)  # of a command that was killed
    workspace.mkdir()
    try:
        executable.export_library(str(temporary), fcompile=linking, workspace_dir=str(workspace))
    finally:
        shutil.rmtree(workspace, ignore_errors=True)
    temporary.rename(path)


def compile_as_imported(
    name: str,
    module: Any,
    target: str,
    kind: TargetKind,
    path: Path,
    precision: str = "float32",
) -> None:
    """Compiles an imported model as TVM does without tuning, in the precision asked for.

    Raises:
        UncompilableError: TVM cannot compile the model.
        LinkError: There is no linker, or it failed.
    """
    try:
        untuned = lower_plainly(module, tvm.target.Target(json.loads(target)), kind, precision)
        with left_to_tvm():
            compile_model(untuned, target, kind, path)
    except UserError:
        raise
    except Exception as error:
        why = reason(error)
        advice = "export the model without what this names, or with another opset"
        if "gpu architecture" in why.lower():  # of NVIDIA's compiler
            advice = "give an architecture that this compiler knows, or install one that knows it"
        raise UncompilableError(f"TVM cannot compile {name} ({why}); {advice}.") from error


def export_database(
    folder: Path,
    tasks: Mapping[str, Task],
    winners: Mapping[str, tuple[Config, float]],
    kind: TargetKind,
) -> None:
    """Writes the winners as a MetaSchedule ``JSONDatabase`` that TVM alone can apply.

    Args:
        folder: Folder of the database; replaced where it exists.
        tasks: Tasks by digest.
        winners: Configuration and latency in seconds, by task digest. Default schedules are left
            out, and a vendor's, as TVM has no schedule for them.
        kind: Kind of the target.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    database = ms.database.JSONDatabase(
        str(folder / "database_workload.json"), str(folder / "database_tuning_record.json")
    )
    for digest, (config, latency) in winners.items():
        if library_of(config) or config == DEFAULT:
            continue
        program = Program.loads(tasks[digest].program)
        module = layer_module(program.module["main"])
        record = ms.database.TuningRecord(
            program.schedule(config, kind.generator).trace,
            database.commit_workload(module),
            [latency],
            program.target,
            ms.arg_info.ArgInfo.from_entry_func(module, remove_preproc=True),
        )
        database.commit_tuning_record(record)
