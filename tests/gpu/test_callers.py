"""Libraries with graphs as programs use them: several in one thread, and one in several threads."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from chameleon_ray.api.model_process import ModelProcess
from chameleon_ray.compiler.kinds import CUDA
from chameleon_ray.measure.cores import available
from chameleon_ray.options import Request
from chameleon_ray.space import as_configs
from chameleon_ray.task import Task
from chameleon_ray.vendor import vendor_config
from tests.gpu.calling import Outputs, called
from tests.gpu.conftest import simulated
from tests.gpu.vendor.build import standins
from tests.whole.onnx_net import ROWS, dense_layers

CUBLASLT = vendor_config("cuBLASLt", 0)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A simulated H100 and stand-ins for NVIDIA's libraries."""
    folder = str(tmp_path_factory.mktemp("cache"))
    found = {**simulated(), "CHAMELEON_VENDOR_PATH": str(standins()), "XDG_CACHE_HOME": folder}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in found.items():
            patch.setenv(name, value)
        yield found


def in_slices(task: Task) -> object:
    """A configuration that sums in slices, which it adds up in a workspace."""
    drawn = as_configs(task.space.random(np.random.default_rng(0), 50))
    return next(config for config in drawn if task.space.values(config)["sketch"] == 1)


@pytest.fixture(scope="module")
def libraries(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Models with graphs whose workspaces are small and large; and the first one without."""
    folder = tmp_path_factory.mktemp("libraries")
    made = [folder / name for name in ("small.so", "large.so", "plain.so")]
    with ExitStack() as stack:
        process = ModelProcess(CUDA, available()[-1:], stack)
        file = dense_layers(folder / "dense.onnx", 16, 128, 72, 8)
        tasks = process.prepare(Request(file, target="cuda:sm_90")).tasks
        chosen = {tasks[1].digest: (in_slices(tasks[1]), 1e-3)}
        process.compile_tuned(chosen, made[2], folder / "database")
        assert process.compile_graphs(made[0])
        chosen[tasks[2].digest] = (CUBLASLT, 1e-3)  # which is not recorded, as it is the last
        process.compile_tuned(chosen, folder / "model.so", folder / "database")
        assert process.compile_graphs(made[1])
    return made


@pytest.fixture(scope="module")
def array() -> np.ndarray:
    return np.random.default_rng(1).standard_normal((ROWS, 16)).astype("float32")


@pytest.fixture(scope="module")
def expected(environment: dict[str, str], libraries: list[Path], array: np.ndarray) -> np.ndarray:
    """What the model gives without graphs, alone in its process."""
    ((outputs,),) = called(environment, libraries[2:], array, [0])
    return outputs[0]


def all_right(found: list[Outputs], expected: np.ndarray) -> bool:
    return all(
        np.allclose(one, expected, rtol=1e-4, atol=1e-4) for outputs in found for (one,) in outputs
    )


def test_graphs_survive_a_model_that_works_in_more_memory(
    environment: dict[str, str], libraries: list[Path], array: np.ndarray, expected: np.ndarray
) -> None:
    """Layers of all models share a pool, which frees what is too small for one of them."""
    found = called(environment, libraries, array, [0, 1, 0, 2, 0, 1])
    assert all_right(found, expected)


def test_threads_may_record_graphs_at_the_same_time(
    environment: dict[str, str], libraries: list[Path], array: np.ndarray, expected: np.ndarray
) -> None:
    """While one records, CUDA forbids the others to do anything."""
    found = called(environment, libraries, array, [0, 1, 0], threads=4)
    assert len(found) == 4
    assert all_right(found, expected)
