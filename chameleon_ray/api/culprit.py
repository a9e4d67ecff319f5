"""Finds the first node of an ONNX file that was imported wrongly."""

from dataclasses import replace

from chameleon_ray.api.model_process import ModelProcess
from chameleon_ray.errors import UserError
from chameleon_ray.measure.bench import Bench
from chameleon_ray.measure.scratch import Scratch
from chameleon_ray.options import Request


def culprit(request: Request, process: ModelProcess, bench: Bench | None) -> str:
    """Names the first node whose values differ from the reference's, as ``'up' (Resize)``.

    The file is imported once more, with all values inside as outputs, compiled, run and compared.
    The process holds this import afterwards.

    Args:
        request: Request whose model computes wrong outputs.
        process: Process that imports and compiles, and runs where there is no bench.
        bench: Bench that runs the library.

    Returns:
        The name and the operator; empty where the model is no ONNX file or no node differs alone.
    """
    if not request.model.lower().endswith(".onnx"):
        return ""
    with Scratch() as folder:
        copy, library = folder / "exposed.onnx", folder / "exposed.so"
        try:
            nodes = process.expose(request, copy)
            if not nodes:
                return ""
            prepared = process.prepare(replace(request, model=str(copy), memory_aware=False))
            process.compile_untuned(library)
            verified = process.check(library, prepared, bench, patience=0.0)
        except UserError:
            return ""
        return nodes.get(verified.output, "")
