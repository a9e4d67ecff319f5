"""Verdicts on ONNX's tests: each is imported, compiled and run in a child that may crash."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from chameleon_ray.measure.isolate import Ending, Isolate, Outcome, Setting
from tests.onnx_backend.cases import Case, cases

ORT = "ONNX Runtime"
TARGET = {"kind": "llvm", "opt-level": 0, "num-cores": 1}
"""Target that compiles fast."""
SECONDS = 60.0
"""Most seconds of one test."""
JOBS = 100
"""Number of tests after which a child is replaced, as its memory grows."""


class Verdict(StrEnum):
    """What can become of a test."""

    RIGHT = "right"
    WRONG = "wrong"
    REFUSED = "refused"
    UNCLEAR = "unclear"
    CRASH = "crash"


@dataclass(frozen=True)
class Result:
    """What became of a test in one form.

    Attributes:
        verdict: The verdict; refused only by a sentence that names an operator of the model.
        detail: What is wrong, or what was said.
        seconds: Seconds that it took.
    """

    verdict: Verdict
    detail: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Job:
    """A test to run.

    Attributes:
        name: Name of the case.
        form: One of ``FORMS``, or ``ORT`` to run it as it stands by ONNX Runtime.
    """

    name: str
    form: str


def results(jobs: Sequence[Job]) -> Iterator[tuple[Job, Result]]:
    """Runs tests one after the other in a child, which is replaced where it dies."""
    child = Isolate(
        Setting(
            handler="tests.onnx_backend.verdicts:runner",
            environment=(("OMP_NUM_THREADS", "1"), ("TVM_NUM_THREADS", "1")),
        )
    )
    try:
        for job in jobs:
            child.renew(JOBS)
            yield job, judged(job, child.call(job, SECONDS))
    finally:
        child.close()


def passed(names: Sequence[str]) -> list[str]:
    """Returns the names of the cases that ONNX Runtime passes."""
    found = results([Job(name, ORT) for name in names])
    return [job.name for job, result in found if result.verdict is Verdict.RIGHT]


def judged(job: Job, outcome: Outcome) -> Result:
    """Makes a result of the outcome of a test in the child."""
    if outcome.ending is Ending.OK:
        wrong = outcome.value
        return Result(Verdict.WRONG if wrong else Verdict.RIGHT, wrong, outcome.seconds)
    if outcome.ending is not Ending.ERROR:
        return Result(Verdict.CRASH, outcome.error, outcome.seconds)
    clear = outcome.for_user and _names_an_operator(outcome.error, cases()[job.name].model)
    return Result(Verdict.REFUSED if clear else Verdict.UNCLEAR, outcome.error, outcome.seconds)


def _names_an_operator(sentence: str, model: onnx.ModelProto) -> bool:
    return any(node.op_type in sentence for node in model.graph.node)


def runner(_: object) -> Callable[[Job], str]:
    """Makes the handler of jobs in the child: it says what is wrong, or nothing."""
    import onnxruntime  # noqa: F401  it is slow to import

    import chameleon_ray.compiler.frontend.onnx.onnx_file
    import chameleon_ray.compiler.passes.lower  # noqa: F401

    cases()
    return run


def run(job: Job) -> str:
    """Runs a test; says what is wrong, or nothing."""
    case = cases()[job.name]
    found = by_onnxruntime(case) if job.form == ORT else by_tvm(case, job.form)
    return compared(found, case.outputs)


def by_onnxruntime(case: Case) -> list[np.ndarray]:
    """Returns the outputs of ONNX Runtime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 4, 1
    session = onnxruntime.InferenceSession(
        case.model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    names = [value.name for value in case.model.graph.input]
    return list(session.run(None, dict(zip(names, case.inputs, strict=True))))


def by_tvm(case: Case, form: str) -> list[np.ndarray]:
    """Returns the outputs of the model as it is imported and compiled without tuning."""
    import tvm

    from chameleon_ray.compiler.frontend.inputs import InputSpec
    from chameleon_ray.compiler.frontend.onnx.onnx_file import import_file
    from chameleon_ray.compiler.kinds import LLVM
    from chameleon_ray.compiler.passes.lower import lower_plainly

    model, inputs = case.in_form(form)
    given = [
        InputSpec(value.name, array.shape)
        for value, array in zip(model.graph.input, inputs, strict=True)
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        onnx.save(model, path)
        module = import_file(path, given).module
    target = tvm.target.Target(dict(TARGET))
    executable = tvm.compile(lower_plainly(module, target, LLVM), target)
    machine = tvm.relax.VirtualMachine(executable, tvm.cpu())
    feeds = [tvm.runtime.tensor(np.asarray(array, order="C")) for array in inputs]
    return _arrays(machine["main"](*feeds))


def _arrays(value: Any) -> list[np.ndarray]:
    return [value.numpy()] if hasattr(value, "numpy") else [one.numpy() for one in value]


def compared(found: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> str:
    """Says what is wrong with outputs, or nothing."""
    from chameleon_ray.compiler.runtime.tolerance import difference

    if len(found) != len(expected):
        return f"{len(found)} outputs instead of {len(expected)}"
    for place, (ours, theirs) in enumerate(zip(found, map(np.asarray, expected), strict=True)):
        found_difference = difference(ours, theirs)
        if not found_difference.right:
            return f"output {place} {found_difference.fault}"
    return ""
