"""Simulated GPUs for tests: environments in which child processes find them."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

from chameleon_ray.compiler.codegen.builder import ChildBuilder
from chameleon_ray.compiler.kinds import CUDA
from chameleon_ray.compiler.runtime.cuda_runner import CudaRunner
from chameleon_ray.measure.cores import available
from tests.cuda.kernels import PATIENT
from tests.gpu.simulator import build

ROOT = Path(__file__).parents[2]
Tools = tuple[ChildBuilder, CudaRunner]
"""What builds layers, and what runs them on a simulated GPU."""


@cache
def simulator() -> build.Simulator:
    """The simulator, built once for its sources; skips the test where that cannot be done."""
    lacking = build.missing()
    if lacking:
        pytest.skip(lacking)
    return build.build(Path(tempfile.gettempdir(), f"chameleon-simulator-{os.getuid()}"))


def simulated(devices: int = 1, model: str = "H100", **faults: object) -> dict[str, str]:
    """The environment of a process that finds simulated GPUs; to be merged into its own.

    Args:
        devices: How many there are; with 0 the driver finds none.
        model: Model of all of them, or the models of each, as ``"H100,T4"``.
        **faults: What is wrong with them: variables that the simulator's headers name, without
            ``SIMULATED_``, as ``memory=1 << 30`` or ``driver="570.86.15"``. ``driver=None`` leaves
            out driver and runtime: a machine that compiles kernels and has no GPU.
    """
    made = simulator()
    models = model.split(",") if "," in model else [model] * devices
    settings = {f"SIMULATED_{name.upper()}": str(value) for name, value in faults.items()}
    roots = [made.compiler, made.runtime, ROOT]
    found = {"SIMULATED_GPUS": ",".join(models), **settings}
    if "driver" in faults and faults["driver"] is None:
        roots.remove(made.runtime)
        return {"PYTHONPATH": joined("PYTHONPATH", *roots)}
    libraries = joined("LD_LIBRARY_PATH", made.libraries)
    return {"PYTHONPATH": joined("PYTHONPATH", *roots), "LD_LIBRARY_PATH": libraries, **found}


def joined(variable: str, *first: Path) -> str:
    """A search path of the environment with some folders in front, none of them twice."""
    wanted = [str(folder) for folder in first]
    rest = [one for one in os.environ.get(variable, "").split(os.pathsep) if one]
    return os.pathsep.join([*wanted, *(one for one in rest if one not in wanted)])


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """One simulated H100, for all processes that the test starts; returns their environment."""
    found = simulated()
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return found


@contextmanager
def tools_for(model: str) -> Iterator[Tools]:
    """A builder, and a runner with one simulated GPU of a model, for the length of a block."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in simulated(model=model).items():
            patch.setenv(name, value)
        builder, runner = ChildBuilder(CUDA, PATIENT, available()[:1]), CudaRunner(PATIENT)
        yield builder, runner
        builder.close()
        runner.close()


@pytest.fixture(scope="module")
def tools() -> Iterator[Tools]:
    """A builder, and a runner with a simulated H100."""
    with tools_for("H100") as made:
        yield made
