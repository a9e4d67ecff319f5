"""Exports a module to a torch program, or says which line of it stands in the way."""

import inspect
import traceback
from typing import Any

import torch
from torch.export import ExportedProgram
from torch.export.graph_signature import OutputKind

from chameleon_ray.compiler.frontend.inputs import ModelError
from chameleon_ray.compiler.frontend.model import reason
from chameleon_ray.compiler.frontend.torch.arguments import Arguments
from chameleon_ray.compiler.quiet import quiet

BY_VALUE = ("data-dependent", "GuardOnDataDependent", "Data dependent", "dynamic control flow")
"""What torch says where Python code depends on a tensor's elements."""


def import_all() -> None:
    """Has torch import what exporting takes, also packages that it uses only where they are.

    Otherwise a user's folder named ``z3`` would be taken for one of them. That is no detour: nearly
    all of its time is that of imports, which any export takes the first time.
    """
    torch.export.export(torch.nn.Identity(), (torch.zeros(1),))


def export(
    name: str, module: Any, arguments: Arguments, open_batch: bool = False
) -> ExportedProgram:
    """Exports a module, without Dynamo where that works, and with it where not.

    Args:
        name: Name of the module in messages.
        module: The module.
        arguments: Arguments of its call.
        open_batch: Whether the batch stays open: the first axis of the first tensor, and of others
            of as many rows.

    Raises:
        ModelError: It cannot be exported; the sentence has the line that is in the way.
    """
    if isinstance(module, torch.jit.ScriptModule):
        return _of_script(name, module, arguments)
    _demand_known_weights(name, module)
    if open_batch:
        return _of_any_batch(name, module, arguments)
    given = arguments.copied()
    try:
        with quiet():
            return torch.export.export(module, given.args, given.kwargs, strict=False)
    except Exception as error:
        first = error
    try:
        given = arguments.copied()
        with quiet():
            return torch.export.export(module, given.args, given.kwargs, strict=True)
    except Exception:
        raise _refusal(name, first) from first


def _of_any_batch(name: str, module: torch.nn.Module, arguments: Arguments) -> ExportedProgram:
    """Exports a module whose batch is left open; the batch of the arguments is at least 2."""
    arguments = arguments.with_rows()
    given = arguments.copied()
    try:
        with quiet():
            shapes = torch.export.ShapesCollection()
            for tensor in given.batched():
                shapes[tensor] = {0: torch.export.Dim.DYNAMIC}
            known = shapes.dynamic_shapes(module, given.args, given.kwargs)
            return torch.export.export(
                module, given.args, given.kwargs, dynamic_shapes=known, strict=False
            )
    except Exception as error:
        raise ModelError(
            f"{name} cannot be exported for several batches ({_why(error)}); tune each batch by "
            "itself, or export the model to ONNX with an open batch."
        ) from error


def _of_script(name: str, module: torch.jit.ScriptModule, arguments: Arguments) -> ExportedProgram:
    """Exports a traced or scripted module by torch's own conversion of its graph."""
    from torch._export.converter import TS2EPConverter

    given = arguments.copied()
    try:
        with quiet():
            program = TS2EPConverter(module, given.args, given.kwargs or None).convert()
            return torch.export.export(program.module(), given.args, given.kwargs)
    except Exception as error:
        raise ModelError(
            f"{name} is a TorchScript module that torch cannot export ({reason(error)}); give the "
            "module that it was made of instead."
        ) from error


def _demand_known_weights(name: str, module: torch.nn.Module) -> None:
    """Refuses modules whose weights are packed for one backend of torch's."""
    for path, part in module.named_modules():
        if type(part).__module__.startswith("torch.ao.nn.quantized"):
            where = f"its module {path} ({type(part).__name__})" if path else type(part).__name__
            raise ModelError(
                f"{name} is quantised for torch's own kernels: {where} keeps packed int8 weights "
                "that cannot be exported; give the float model, or one that torch's PT2E "
                "quantisation or onnxruntime.quantization made."
            )


def _refusal(name: str, error: Exception) -> ModelError:
    line = _line(error)
    at = f" at {line}" if line else ""
    text = f"{type(error).__name__} {error}"
    if any(sign in text for sign in BY_VALUE):
        return ModelError(
            f"{name} chooses what to compute by a tensor's values{at}, which a library cannot; use "
            "torch.where or torch.cond there, or keep the choice outside of the model."
        )
    return ModelError(
        f"torch.export cannot trace {name}{at} ({_why(error)}); change that line, or export the "
        "model to ONNX."
    )


def _why(error: Exception) -> str:
    """Returns the first line of a message; torch puts advice about itself after it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__).rstrip(".:")[:300]


def _line(error: BaseException) -> str:
    """Returns the innermost line of code outside of torch, as ``file:line: code``."""
    package = inspect.getfile(torch).removesuffix("__init__.py")
    own = __name__.partition(".")[0]
    frames = traceback.extract_tb(error.__traceback__)
    outside = [
        frame
        for frame in frames
        if not frame.filename.startswith((package, "<"))
        and f"/{own}/compiler/" not in frame.filename
    ]
    if not outside:
        return ""
    frame = outside[-1]
    return f"{frame.filename}:{frame.lineno} ({(frame.line or '').strip()})"


def dropped_state(name: str, program: ExportedProgram) -> str | None:
    """Says that a module changes its inputs, or buffers that no output depends on; else None.

    Raises:
        ModelError: An output depends on a buffer that each call changes.
    """
    specs = program.graph_signature.output_specs
    buffers = [one.target for one in specs if one.kind == OutputKind.BUFFER_MUTATION]
    inputs = [one.target for one in specs if one.kind == OutputKind.USER_INPUT_MUTATION]
    read = [target for target in buffers if target in _read_by_outputs(program)]
    if read:
        raise ModelError(
            f"{name} keeps a state between calls, which a library cannot: each call changes its "
            f"buffer {read[0]!r}, and reads it for the outputs; make it an input and an output."
        )
    changed = [f"buffer {one!r}" for one in buffers] + [f"input {one!r}" for one in inputs]
    if not changed:
        return None
    return f"The library leaves the {', '.join(changed)} as it is, which {name} changes in place."


def _read_by_outputs(program: ExportedProgram) -> set[str]:
    """Returns the buffers whose elements the user's outputs depend on."""
    from chameleon_ray.compiler.frontend.torch.importer import needed_for

    (end,) = (node for node in program.graph.nodes if node.op == "output")
    specs = program.graph_signature.output_specs
    pairs = zip(end.args[0], specs, strict=True)
    reached = needed_for([one for one, spec in pairs if spec.kind == OutputKind.USER_OUTPUT])
    names = {node.name for node in reached}
    holders = program.graph_signature.inputs_to_buffers
    return {buffer for holder, buffer in holders.items() if holder in names}
