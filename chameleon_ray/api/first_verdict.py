"""The first verdict on a model: whether it was imported rightly, before anything is tuned.

The model is compiled without tuning. The library is run on the examples and compared with what the
source framework computes. It is the one that the tuned model is timed beside at the end.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import numpy as np

from chameleon_ray.api.culprit import culprit
from chameleon_ray.api.device_group import DeviceGroup
from chameleon_ray.api.failed_step import StepError
from chameleon_ray.api.model_process import ModelProcess
from chameleon_ray.api.session_model import SessionModel
from chameleon_ray.compiler.prepared import Prepared
from chameleon_ray.errors import UserError
from chameleon_ray.measure.bench import Bench
from chameleon_ray.measure.example import Example, is_float
from chameleon_ray.options import Request
from chameleon_ray.report.format import counted
from chameleon_ray.report.progress import Progress
from chameleon_ray.report.result import Verified


class ImportedWronglyError(UserError):
    """A model that computes something else than its source, in one sentence."""


class ImpreciseError(UserError):
    """A model that needs a finer precision than was asked for, in one sentence."""


def judge(
    request: Request,
    prepared: Prepared,
    process: ModelProcess,
    library: Path,
    bench: Bench | None,
    patience: float,
) -> tuple[Prepared, Verified | None]:
    """Runs an imported model's untuned library, and compares its outputs with those to expect.

    Args:
        request: Request that names the model.
        prepared: The imported model.
        process: Process that runs the library where there is no bench. It lets a wrong model go.
        library: Library of the model, compiled without tuning.
        bench: Bench that runs the library; None where the process does.
        patience: Seconds of running after which no further example is begun.

    Returns:
        The model and the comparison. Where nothing independent could run the model, its examples
        get the untuned library's outputs, and there is no comparison.

    Raises:
        ImportedWronglyError: The outputs differ.
        ImpreciseError: They differ in the precision asked for.
        UserError: The library cannot be run.
    """
    try:
        if prepared.reference_name is None:
            return _taken(prepared, process, library, bench, patience), None
        untuned = replace(prepared, precision=prepared.untuned_precision)
        verified = process.check(library, untuned, bench, patience)
    except StepError as error:
        raise UserError(
            f"{prepared.name} cannot be run as TVM compiles it without tuning ({error.why}); give "
            "other inputs with --input, or export the model with another opset."
        ) from error
    if not verified.ok:
        raise _fault(request, prepared, verified, process, bench)
    return prepared, verified


def _fault(
    request: Request,
    prepared: Prepared,
    verified: Verified,
    process: ModelProcess,
    bench: Bench | None,
) -> UserError:
    """Returns the error of an untuned library that is wrong, or not as precise as it has to be."""
    if request.precision == prepared.untuned_precision.dtype != "float32":
        return _imprecise(prepared.name, verified, request.precision)
    plain = replace(request, precision="float32")
    outputs = [one for example in prepared.examples for one in example.outputs or ()]
    if not all(np.isfinite(one.astype("f8")).all() for one in outputs if is_float(one)):
        return ImportedWronglyError(
            f"{prepared.name} has infinities or NaN in the outputs of {verified.against}, and "
            f"without tuning {verified.fault}; look for them in its weights, or give values that "
            "suit the model with --example."
        )
    return _wrong(prepared.name, verified, culprit(plain, process, bench))


def _imprecise(name: str, verified: Verified, precision: str) -> ImpreciseError:
    finer = "float32" if precision == "bfloat16" else "bfloat16, or float32"
    return ImpreciseError(
        f"{name} computes something else in {precision}: without tuning, and compared with "
        f"{verified.against}, {verified.fault}; give --precision {finer}."
    )


def _wrong(name: str, verified: Verified, node: str) -> ImportedWronglyError:
    where = f", and the first node to differ is {node}" if node else ""
    return ImportedWronglyError(
        f"{name} is imported wrongly: without tuning, and compared with {verified.against}, "
        f"{verified.fault}{where}; export the model with another opset, or to another format "
        "(ONNX, .pt2)."
    )


def judged(
    groups: Sequence[DeviceGroup],
    prepared: Mapping[SessionModel, Prepared],
    process: ModelProcess,
    progress: Progress,
) -> Iterator[tuple[SessionModel, Prepared]]:
    """Yields every model of a session that was imported rightly; the others fail.

    A model on another machine's devices waits until there is a runner.
    """
    for group in groups:
        for model in group.left:
            with model.trying(progress):
                progress.phase(f"verifying {model.called} untuned")
                library, request = model.folder.untuned_library, model.request
                patience, known = request.confirming.first_seconds, prepared[model]
                known, verified = judge(request, known, process, library, group.bench, patience)
                progress.note(model.saying(_told(verified, progress.elapsed)))
                yield model, known


def _told(verified: Verified | None, seconds: float) -> str:
    """Returns the sentence that tells people of a verdict, and how soon it came."""
    after = f"in {seconds:.0f} s"
    if verified is None:
        return f"Imported and run untuned {after}; nothing but TVM can run it to compare with."
    words = f"same outputs as {verified.against} for {counted(verified.examples, 'example')}"
    return f"Imported and verified untuned {after}: {words}."


def _taken(
    prepared: Prepared, process: ModelProcess, library: Path, bench: Bench | None, patience: float
) -> Prepared:
    """Takes the untuned library's outputs for those to expect; slow ones for one example only."""
    examples: list[Example] = []
    began = perf_counter()
    for example in prepared.examples:
        if examples and perf_counter() - began > patience:
            break
        outputs = process.outputs(library, example.inputs, bench)
        examples.append(replace(example, outputs=outputs))
    return replace(prepared, examples=tuple(examples))
