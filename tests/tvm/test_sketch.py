"""Design spaces from sketches, and tasks from models."""

import asyncio
import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import tvm_ffi
from tvm.s_tir import Schedule

from chameleon_ray.compiler.kinds import LLVM
from chameleon_ray.compiler.spaces.extract import extract, layer_digest
from chameleon_ray.compiler.spaces.sketch import InvalidConfig, Program
from chameleon_ray.measure.measurer import Measurer
from chameleon_ray.options import Confirming
from chameleon_ray.record import DEFAULT
from chameleon_ray.space import as_configs
from chameleon_ray.winners import choose
from tests.tvm import layers

CONFIGS = 20


def drawn(kind: str) -> list[tuple[int, ...]]:
    space = layers.task_of(kind).space
    return as_configs(space.random(np.random.default_rng(1), CONFIGS))


def program_of(kind: str) -> Program:
    return Program.loads(layers.task_of(kind).program)


@pytest.mark.parametrize("kind", layers.KINDS)
def test_every_kind_of_layer_has_a_space(kind: str) -> None:
    task, program = layers.task_of(kind), program_of(kind)
    assert task.space.size >= 1
    assert len({knob.name for knob in task.space.knobs}) == len(task.space.knobs)
    assert program.knobs == len(task.space.knobs)
    heavy = kind not in ("add", "reshape", "softmax")
    assert (task.space.size > 20) == heavy


@pytest.mark.parametrize("kind", layers.KINDS)
def test_a_config_comes_back_from_its_trace(kind: str) -> None:
    program = program_of(kind)
    for config in drawn(kind):
        trace = json.loads(json.dumps(program.trace(config)))
        assert program.config(trace) == config


@pytest.mark.parametrize("kind", layers.KINDS)
def test_a_scheduled_module_is_what_its_trace_replays(kind: str) -> None:
    program = program_of(kind)
    valid = 0
    for config in drawn(kind):
        try:
            schedule = program.schedule(config, LLVM.generator)
        except InvalidConfig:
            continue
        replay = Schedule(program.module, debug_mask=0)
        schedule.trace.apply_to_schedule(replay, remove_postproc=False)
        assert tvm_ffi.structural_equal(schedule.mod, replay.mod)
        valid += 1
    assert valid > 0


@pytest.mark.parametrize("kind", ["conv", "dense", "softmax"])
def test_the_same_config_gives_the_same_module(kind: str) -> None:
    first, second = program_of(kind), program_of(kind)
    config = drawn(kind)[0]
    assert tvm_ffi.structural_equal(
        first.schedule(config, LLVM.generator).mod, second.schedule(config, LLVM.generator).mod
    )


def test_tiles_are_what_the_config_says() -> None:
    task, program = layers.task_of("dense"), program_of("dense")
    config = drawn("dense")[0]
    values = task.space.values(config)
    text = program.schedule(config, LLVM.generator).mod.script()
    inner = next(tiles for tiles in values.values() if np.prod(tiles) == 32)
    assert isinstance(inner, tuple)
    decided = [d for _, d in program.trace(config)[1] if isinstance(d, list)]
    assert list(inner) in decided
    assert str(inner[1]) in text


def test_a_foreign_trace_is_refused() -> None:
    trace = program_of("dense").trace(drawn("dense")[0])
    with pytest.raises(ValueError, match="none of this layer's sketches"):
        program_of("conv").config(trace)


def test_a_trace_that_does_not_apply_is_invalid() -> None:
    program = program_of("conv")
    other = Program(
        program_of("add").module_json, program.target_json, program.sketches, program.knobs
    )
    with pytest.raises(InvalidConfig, match="the trace does not apply: ScheduleError: Cannot find"):
        other.schedule(drawn("conv")[0], LLVM.generator)


@pytest.mark.parametrize("kind", layers.KINDS)
def test_a_program_travels_unchanged(kind: str) -> None:
    body = layers.task_of(kind).program
    assert Program.loads(body).dumps() == body
    json.loads(body)


def test_arguments_are_the_buffers_in_order() -> None:
    assert program_of("conv").arguments == (
        ((1, 8, 14, 14), "float32"),
        ((16, 8, 3, 3), "float32"),
        ((1, 16, 14, 14), "float32"),
    )


def test_a_digest_names_structure_and_target_only() -> None:
    def digest(module: Any, target: str = "") -> str:
        return layer_digest(module["main"], target or layers.target())

    assert digest(layers.conv("data")) == digest(layers.conv("another_name"))
    assert digest(layers.conv()) != digest(layers.conv(filters=8))
    assert digest(layers.half()) != digest(layers.integer())
    assert digest(layers.conv()) != digest(layers.conv(), '{"kind": "llvm", "num-cores": 2}')
    renamed = layers.conv()["main"].with_attr("global_symbol", "fused_conv2d7")
    assert layer_digest(renamed, layers.target()) == digest(layers.conv())


def test_equal_layers_are_one_task() -> None:
    relu = layers.relu()
    model = layers.model([layers.square("a"), layers.square("b"), relu, layers.square("c"), relu])
    tasks = extract(model, layers.target(), LLVM)
    assert [task.weight for task in tasks] == [3, 2]
    assert [task.shape for task in tasks] == ["8x64, 8x64", "8x64, 8x64"]
    assert len({task.digest for task in tasks}) == 2
    assert tasks[1].flop == 8 * 64


@pytest.mark.parametrize(
    ("kind", "flop"),
    [
        ("conv", 2 * 16 * 14 * 14 * 8 * 9 + 16 * 14 * 14),
        ("dense", 2 * 32 * 64 * 64),
        ("depthwise", 2 * 8 * 8 * 8 * 9),
        ("add", 32 * 64),
        ("reshape", 0),
    ],
)
def test_flop(kind: str, flop: int) -> None:
    function = layers.KINDS[kind]()["main"]
    assert layers.flop_of(function) == flop


def test_a_layer_of_open_shape_keeps_its_default_and_says_so() -> None:
    function, shape = layers.open_relu()
    (task,) = extract(layers.model([function], shape), layers.target(), LLVM)
    assert task.space.knobs == ()
    assert task.space.size == 1
    assert task.shape == "dynamic shape"
    nothing = Measurer(None, None)  # type: ignore[arg-type]
    winner = asyncio.run(choose(task, [], nothing, Confirming()))
    assert winner.config == DEFAULT
    assert winner.reason == "nothing to tune"


def test_a_layer_without_decisions_has_one_config() -> None:
    task = layers.task(layers.opaque())
    assert task.space.size == 1
    Program.loads(task.program).schedule((0,), LLVM.generator)


def test_designing_imports_no_foreign_intrinsics_and_no_torch() -> None:
    script = (
        "import sys\n"
        "from chameleon_ray.compiler.tvm_process import block_torch\n"
        "block_torch()\n"
        "from tests.tvm import layers\n"
        "assert layers.task_of('conv').space.size > 1000\n"
        "from chameleon_ray.compiler.kinds import LLVM\n"
        "from chameleon_ray.compiler.spaces.sketch import Program\n"
        "Program.loads(layers.task_of('conv').program).schedule((0,) * 9, LLVM.generator)\n"
        "loaded = [m for m in sys.modules if m.startswith('tvm.s_tir.tensor_intrin.')]\n"
        "print(loaded, sys.modules['torch'])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[-1] == "['tvm.s_tir.tensor_intrin.x86'] None"
