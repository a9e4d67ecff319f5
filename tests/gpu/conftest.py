"""Simulated GPUs for tests: environments in which child processes find them."""

import os
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

from chameleon_ray.compiler.codegen.builder import ChildBuilder
from chameleon_ray.compiler.kinds import CUDA
from chameleon_ray.compiler.runtime.cuda_runner import CudaRunner
from chameleon_ray.compiler.tvm_process import DRIVER
from chameleon_ray.measure import nvidia_driver
from chameleon_ray.measure.cores import available
from chameleon_ray.measure.measurer import Artifact
from chameleon_ray.options import Measuring
from chameleon_ray.space import Config
from chameleon_ray.task import Task
from tests.cuda.kernels import PATIENT
from tests.gpu.simulator import build

ROOT = Path(__file__).parents[2]
BUILDERS = 2
"""Most builders; each takes some 200 MiB of memory."""


class Builders:
    """A builder on each of a few cores, which build ahead of what runs the layers."""

    def __init__(self, options: Measuring = PATIENT) -> None:
        self._all = [ChildBuilder(CUDA, options, (core,)) for core in available()[:BUILDERS]]
        self._idle: SimpleQueue[ChildBuilder] = SimpleQueue()
        self._threads = ThreadPoolExecutor(len(self._all))
        for one in self._all:
            self._idle.put(one)

    def build(self, task: Task, config: Config) -> Artifact:
        """See ``Builder``."""
        one = self._idle.get()
        try:
            return one.build(task, config)
        finally:
            self._idle.put(one)

    def ahead(self, task: Task, configs: Iterable[Config]) -> Iterator[Artifact]:
        """Yields the artifacts of configurations, while the next ones are built."""
        return self._threads.map(partial(self.build, task), configs)

    def close(self) -> None:
        self._threads.shutdown()
        for one in self._all:
            one.close()


Tools = tuple[Builders, CudaRunner]
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
        demand_no_driver()
        roots.remove(made.runtime)
        return {"PYTHONPATH": joined("PYTHONPATH", *roots)}
    libraries = joined("LD_LIBRARY_PATH", made.libraries)
    return {"PYTHONPATH": joined("PYTHONPATH", *roots), "LD_LIBRARY_PATH": libraries, **found}


def demand_no_driver() -> None:
    """Skips a test that needs a machine without a driver on one that has NVIDIA's."""
    try:
        nvidia_driver.load(DRIVER)
    except OSError:
        return
    pytest.skip("This machine has a driver, and the test is of one that has none.")


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
def with_gpu(**machine: Any) -> Iterator[None]:
    """Has processes that are started in a block find a simulated machine; see ``simulated``."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in simulated(**machine).items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="package")
def builders() -> Iterator[Builders]:
    """Builders for simulated GPUs of all models."""
    with with_gpu():
        made = Builders()
    yield made
    made.close()


@pytest.fixture(scope="package")
def tools(builders: Builders) -> Iterator[Tools]:
    """Builders, and a runner with a simulated H100."""
    with with_gpu():
        runner = CudaRunner(PATIENT)
    yield builders, runner
    runner.close()
