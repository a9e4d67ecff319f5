"""Winners in a model: same outputs, all of them there, with this project and with TVM alone."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tvm
import tvm_ffi
from tvm import relax
from tvm.s_tir import meta_schedule as ms

from chameleon_ray.compiler.apply import compile_model, export_database, schedule_layers
from chameleon_ray.compiler.kinds import LLVM
from chameleon_ray.compiler.passes.lower import lower
from chameleon_ray.compiler.spaces.extract import extract
from chameleon_ray.compiler.spaces.sketch import InvalidConfig, Program
from chameleon_ray.space import Config, as_configs
from chameleon_ray.task import Task
from tests.tvm import layers

Winners = dict[str, tuple[Config, float]]


@pytest.fixture(scope="module")
def lowered() -> Any:
    return lower(layers.network(), layers.tvm_target(), LLVM)


@pytest.fixture(scope="module")
def tasks(lowered: Any) -> dict[str, Task]:
    return {task.digest: task for task in extract(lowered, layers.target(), LLVM)}


@pytest.fixture(scope="module")
def winners(tasks: dict[str, Task]) -> Winners:
    return {digest: (valid(task), 1e-3) for digest, task in tasks.items()}


@pytest.fixture(scope="module")
def untuned(lowered: Any, tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    path = tmp_path_factory.mktemp("untuned") / "model.so"
    compile_model(lowered, layers.target(), LLVM, path)
    return outputs(path)


def valid(task: Task) -> Config:
    program = Program.loads(task.program)
    for config in as_configs(task.space.random(np.random.default_rng(0), 20)):
        try:
            program.schedule(config, LLVM.generator)
        except InvalidConfig:
            continue
        return config
    raise AssertionError(f"no valid configuration of {task.name}")


def example() -> np.ndarray:
    return np.random.default_rng(1).random((1, 8, 12, 12), dtype="float32")


def outputs(path: Path) -> np.ndarray:
    machine = relax.VirtualMachine(tvm.runtime.load_module(str(path)), tvm.cpu())
    return machine["main"](tvm.runtime.tensor(example())).numpy()


def scheduled(module: Any) -> set[str]:
    return {
        variable.name_hint
        for variable, function in module.functions.items()
        if isinstance(function, tvm.tirx.PrimFunc) and function.attrs.get("tirx.is_scheduled")
    }


def test_winners_change_no_output(
    lowered: Any, tasks: dict[str, Task], winners: Winners, untuned: np.ndarray, tmp_path: Path
) -> None:
    assert sum(task.weight for task in tasks.values()) > len(tasks)
    configs = {digest: config for digest, (config, _) in winners.items()}
    tuned, applied = schedule_layers(lowered, tasks, configs, LLVM)
    assert applied == set(tasks)
    assert scheduled(tuned) == {task.name for task in tasks.values()}
    assert scheduled(lowered) == set()
    compile_model(tuned, layers.target(), LLVM, tmp_path / "model.so")
    np.testing.assert_allclose(outputs(tmp_path / "model.so"), untuned, rtol=1e-4, atol=1e-4)
    assert [path.name for path in tmp_path.iterdir()] == ["model.so"]


def test_only_what_won_is_scheduled(lowered: Any, tasks: dict[str, Task], winners: Winners) -> None:
    one = next(digest for digest, task in tasks.items() if "conv" in task.name)
    tuned, applied = schedule_layers(lowered, tasks, {one: winners[one][0]}, LLVM)
    assert applied == {one}
    assert scheduled(tuned) == {tasks[one].name}
    nothing, applied = schedule_layers(lowered, tasks, {}, LLVM)
    assert applied == set()
    assert scheduled(nothing) == set()


def test_tvm_alone_applies_the_database(
    lowered: Any, tasks: dict[str, Task], winners: Winners, untuned: np.ndarray, tmp_path: Path
) -> None:
    folder = tmp_path / "tvm_db"
    for _ in range(2):  # the second export replaces the first
        export_database(folder, tasks, winners, LLVM)
    database = ms.database.JSONDatabase(
        str(folder / "database_workload.json"), str(folder / "database_tuning_record.json")
    )
    assert len(database.get_all_tuning_records()) == len(winners)
    with layers.tvm_target(), database:
        tuned = relax.transform.MetaScheduleApplyDatabase()(lowered)
    assert scheduled(tuned) == {task.name for task in tasks.values()}
    compile_model(tuned, layers.target(), LLVM, tmp_path / "model.so")
    np.testing.assert_allclose(outputs(tmp_path / "model.so"), untuned, rtol=1e-4, atol=1e-4)


def test_the_database_holds_the_winners_and_their_latencies(
    tasks: dict[str, Task], winners: Winners, tmp_path: Path
) -> None:
    one = next(digest for digest, task in tasks.items() if "conv" in task.name)
    export_database(tmp_path / "db", tasks, {one: (winners[one][0], 0.125)}, LLVM)
    database = ms.database.JSONDatabase(
        str(tmp_path / "db" / "database_workload.json"),
        str(tmp_path / "db" / "database_tuning_record.json"),
    )
    (record,) = database.get_all_tuning_records()
    assert [float(seconds) for seconds in record.run_secs] == [0.125]
    replay = tvm.s_tir.Schedule(record.workload.mod)
    record.trace.apply_to_schedule(replay, remove_postproc=False)
    ours = Program.loads(tasks[one].program).schedule(winners[one][0], LLVM.generator).mod
    assert tvm_ffi.structural_equal(replay.mod, ours)


def test_the_library_needs_tvm_only(
    lowered: Any, tasks: dict[str, Task], winners: Winners, untuned: np.ndarray, tmp_path: Path
) -> None:
    configs = {digest: config for digest, (config, _) in winners.items()}
    tuned, _ = schedule_layers(lowered, tasks, configs, LLVM)
    compile_model(tuned, layers.target(), LLVM, tmp_path / "model.so")
    np.save(tmp_path / "input.npy", example())
    script = (
        "import sys\n"
        "sys.modules.update({'torch': None, 'ray': None, 'chameleon_ray': None})\n"
        "import numpy, tvm\n"
        "from tvm import relax\n"
        "model = relax.VirtualMachine(tvm.runtime.load_module('model.so'), tvm.cpu())['main']\n"
        "numpy.save('output', model(tvm.runtime.tensor(numpy.load('input.npy'))).numpy())\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)
    given = np.load(tmp_path / "output.npy")
    np.testing.assert_allclose(given, untuned, rtol=1e-4, atol=1e-4)
