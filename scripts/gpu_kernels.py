"""The kernels of ``gpu_check.py``: compiled where there need be no GPU, compared and timed on one.

Every kind of layer and data type has a set of kernels for each template that fits it, and one for
MetaSchedule's sketches. The outputs to expect come with them, so that nothing is computed on the
machine that has the GPU but by the GPU.
"""

import json
import pickle
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from gpu_layers import DTYPES, LAYERS, expected, on_cpu

from chameleon_ray.compiler.codegen.builder import ChildBuilder
from chameleon_ray.compiler.kinds import CUDA
from chameleon_ray.compiler.runtime.cuda_runner import CudaRunner
from chameleon_ray.compiler.runtime.tolerance import difference
from chameleon_ray.measure.measurer import Artifact, Timing
from chameleon_ray.options import Confirming, Measuring
from chameleon_ray.record import DEFAULT, Status
from chameleon_ray.space import Config, as_configs
from chameleon_ray.task import Task

MEASURING = Measuring(gpu_build_timeout=60.0, run_timeout=10.0, default_timeout=60.0)
DRAWN, KEPT = 24, 2
"""Random configurations of a set that are looked at, and valid ones that are kept."""
SKETCHES = "sketches"


@dataclass(frozen=True)
class Kernels:
    """Kernels of one layer from one space.

    Attributes:
        kind: Kind of the layer.
        dtype: Its data type.
        space: Name of the template that made the space, or ``sketches``.
        task: The layer as a task.
        artifacts: The default, then configurations.
        tried: Configurations that were looked at.
        failures: How many of them failed to compile, by the beginning of the error.
        expected: All buffers after one execution.
    """

    kind: str
    dtype: str
    space: str
    task: Task
    artifacts: tuple[Artifact, ...]
    tried: int
    failures: dict[str, int]
    expected: tuple[np.ndarray, ...]

    @property
    def names(self) -> tuple[str, str, str]:
        return self.kind, self.dtype, self.space

    @property
    def fault(self) -> str:
        """Says that no configuration compiled, where there are some; else empty."""
        if not self.tried or sum(self.failures.values()) < self.tried:
            return ""
        return f"0 of {self.tried} configurations compile ({next(iter(self.failures))})"


def chosen(only: Sequence[str]) -> list[tuple[str, str]]:
    """Kinds and types with a set whose name has one of the words; all where there is no word."""
    return list(dict.fromkeys(names[:2] for names in expected_sets(only)))


def expected_sets(only: Sequence[str] = (), arch: str = "sm_80") -> list[tuple[str, str, str]]:
    """Names of the sets that there have to be: kind, data type and space of each.

    Args:
        only: Words of which one is in the name of each set; none for all.
        arch: Architecture, on which the templates depend.
    """
    pairs = product(LAYERS, DTYPES)
    names = [(*one, space) for one in pairs for space in (*expected(*one, arch), SKETCHES)]
    return [one for one in names if not only or any(word in " ".join(one) for word in only)]


def absent(kind: str, dtype: str, space: str) -> dict[str, str]:
    """The entry of a set that there has to be and is not."""
    why = "" if space == SKETCHES else f"the template {space} does not fit {kind} {dtype}, or "
    return {"error": f"{why}its kernels were not compiled"}


def build(builder: ChildBuilder, target: str, kind: str, dtype: str, folder: Path) -> dict:
    """Compiles the kernels of one layer for a complete target, given as JSON, and writes them.

    Returns:
        How many configurations compiled of how many that were tried, by the space they are from,
        and an error where that is none, or where a template does not fit that has to.
    """
    outputs, counts, faults = on_cpu(kind, dtype), dict[str, str](), list[str]()
    for space, task in tasks(target, kind, dtype):
        default = builder.build(task, DEFAULT)
        found, tried, failures = _valid(builder, task)
        artifacts = (default, *found)
        made = Kernels(kind, dtype, space, task, artifacts, tried, failures, outputs)
        write(folder, made)
        counts[space] = f"{len(found)} of {tried}"
        faults += [f"{space}: {made.fault}"] if made.fault else []
    names = expected(kind, dtype, json.loads(target)["arch"])
    faults += [f"the template {name} does not fit" for name in names if name not in counts]
    return {**counts, "error": "; ".join(faults)} if faults else counts


def tasks(target: str, kind: str, dtype: str) -> Iterator[tuple[str, Task]]:
    """A layer as a task of each template that fits it, and of MetaSchedule's sketches, by name."""
    import tvm

    from chameleon_ray.compiler.spaces.design import design
    from chameleon_ray.compiler.spaces.extract import layer_digest
    from chameleon_ray.compiler.spaces.templates import TEMPLATES

    layer, made = LAYERS[kind](dtype), tvm.target.Target(json.loads(target))
    for template in (*TEMPLATES["cuda"], None):
        fits = () if template is None else (template,)
        if template is not None and not _fits(template, layer, made):
            continue
        alone = replace(CUDA, templates=lambda fits=fits: fits)
        space, program = design(layer, made, alone)
        digest = layer_digest(layer["main"], target)
        name = SKETCHES if template is None else template.__name__
        yield name, Task(f"{kind} {dtype}", digest, target, 1, 0.0, space, program.dumps())


def _fits(template: Callable[[Any, Any], Any], layer: Any, target: Any) -> bool:
    from tvm.s_tir.schedule import ScheduleError

    try:
        return template(layer, target) is not None
    except ScheduleError:
        return False


def _valid(builder: ChildBuilder, task: Task) -> tuple[list[Artifact], int, dict[str, int]]:
    """Configurations that compile, how many had to be tried, and why others did not."""
    found: list[Artifact] = []
    failures: Counter[str] = Counter()
    drawn: list[Config] = as_configs(task.space.random(np.random.default_rng(0), DRAWN))
    for tried, config in enumerate(drawn, 1):
        artifact = builder.build(task, config)
        if artifact.status is Status.OK:
            found.append(artifact)
        else:
            failures[f"{artifact.status}: {artifact.error[:100]}"] += 1
        if len(found) == KEPT:
            return found, tried, dict(failures)
    return found, len(drawn), dict(failures)


def check(runner: CudaRunner, kernels: Kernels) -> dict[str, Any]:
    """Runs every kernel of a set: against the CPU's outputs, then all in one contest."""
    task, built = kernels.task, [one for one in kernels.artifacts if one.status is Status.OK]
    default = kernels.artifacts[0]
    if default.status is not Status.OK:
        return {"error": default.error}
    verdicts = [_compared(runner, kernels, one) for one in built]
    found: dict[str, Any] = {
        "right": all(one["right"] for one in verdicts),
        "kernels": verdicts,
        "tried": kernels.tried,
        "failures": kernels.failures,
    }
    contest = runner.contest(task, tuple(built), Confirming(repeats=3))
    if isinstance(contest, Timing):
        return {**found, "right": False, "fault": f"the contest failed: {contest.error}"}
    found["contest"] = [asdict(one) for one in contest]
    found["seconds"] = [asdict(runner.run(task, one, float("inf")))["latencies"] for one in built]
    turned_down = [n for n, one in enumerate(contest) if not one.right and verdicts[n]["right"]]
    if kernels.fault:
        return {**found, "right": False, "fault": kernels.fault}
    if turned_down:
        fault = f"the contest turns down kernels {turned_down}, which the CPU says are right"
        return {**found, "right": False, "fault": fault}
    return found


def _compared(runner: CudaRunner, kernels: Kernels, artifact: Artifact) -> dict[str, Any]:
    outputs = runner.outputs(kernels.task, artifact)
    taken = json.loads(artifact.resources or "{}")
    if isinstance(outputs, Timing):
        return {"right": False, "fault": f"{outputs.status}: {outputs.error}", "resources": taken}
    errors = [difference(*pair) for pair in zip(outputs, kernels.expected, strict=True)]
    fault = next((one.fault for one in errors if not one.right), "")
    worst = max(one.relative for one in errors)
    return {"right": not fault, "fault": fault, "max_rel_err": worst, "resources": taken}


def write(folder: Path, kernels: Kernels) -> None:
    """Writes a set to a file of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    name = "-".join(kernels.names).replace(" ", "_")
    (folder / f"{name}.kernels").write_bytes(pickle.dumps(kernels))


def read(folder: Path) -> list[Kernels]:
    """Reads all sets of a folder, in the order of the kinds.

    Raises:
        FileNotFoundError: There is none.
    """
    found: list[Kernels] = [pickle.loads(p.read_bytes()) for p in folder.glob("*.kernels")]
    if not found:
        raise FileNotFoundError(f"{folder} holds no kernels; --build-only makes them")
    kinds, types = list(LAYERS), list(DTYPES)
    return sorted(found, key=lambda k: (kinds.index(k.kind), types.index(k.dtype), k.space))
