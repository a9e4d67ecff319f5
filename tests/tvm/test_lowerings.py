"""Lowerings of a model's layers: found, put together, chosen by measurement, and right."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import tvm
from torch import nn
from tvm import relax

from chameleon_ray import api
from chameleon_ray.compiler.apply import compile_model, schedule_layers
from chameleon_ray.compiler.kinds import LLVM
from chameleon_ray.compiler.passes.lower import lower, lowerings
from chameleon_ray.compiler.relax import constant
from chameleon_ray.compiler.spaces.lowerings import composed, extract_all, pairs
from chameleon_ray.options import Confirming, Measuring, Request, Storing
from chameleon_ray.record import DEFAULT
from chameleon_ray.report.layer_result import LayerResult
from chameleon_ray.report.progress import Progress
from chameleon_ray.report.result import RunResult
from chameleon_ray.space import as_configs
from chameleon_ray.task import Task
from tests.tvm import layers

CHANNELS, WIDTH = 64, 8
RNG = np.random.default_rng(0)
PATIENT = Measuring(build_timeout=30.0, default_timeout=60.0, run_timeout=30.0, load_timeout=30.0)
"""Time limits for machines that are busy with other things."""


def model() -> Any:
    """Convolutions with three epilogues, whose algorithm is a matter of measurement."""
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType((1, CHANNELS, WIDTH, WIDTH), "float32"))

    def convolved(value: relax.Expr) -> relax.Expr:
        weights = RNG.standard_normal((CHANNELS, CHANNELS, 3, 3)) / 24
        return builder.emit(relax.op.nn.conv2d(value, constant(weights, "float32"), padding=1))

    def relu(value: relax.Expr) -> relax.Expr:
        return builder.emit(relax.op.nn.relu(value))

    with builder.function("main", [x]):
        with builder.dataflow():
            y = relu(convolved(relu(convolved(x))))
            y = relu(builder.emit(relax.op.add(convolved(y), x)))
            out = builder.emit_output(convolved(y))
        builder.emit_func_output(out)
    return builder.get()


@pytest.fixture(scope="module")
def lowered() -> list[Any]:
    return list(lowerings(model(), layers.tvm_target(), LLVM))


@pytest.fixture(scope="module")
def tasks(lowered: list[Any]) -> list[Task]:
    return extract_all(lowered[0], lowered[1:], layers.target(), LLVM)


def outputs(module: Any, path: Path) -> np.ndarray:
    compile_model(module, str(layers.unoptimised()), LLVM, path)
    machine = relax.VirtualMachine(tvm.runtime.load_module(str(path)), tvm.cpu())
    data = np.random.default_rng(1).standard_normal((1, CHANNELS, WIDTH, WIDTH))
    return machine["main"](tvm.runtime.tensor(data.astype("float32"))).numpy()


def test_every_lowering_of_a_layer_has_its_weight_and_its_epilogue(tasks: list[Task]) -> None:
    firsts = [task for task in tasks if task.lowering and not task.instead]
    assert [(task.lowering, task.weight) for task in firsts] == [
        ("direct", 2),
        ("direct", 1),
        ("direct", 1),
    ]
    for first in firsts:
        others = [task for task in tasks if task.instead == first.digest]
        assert [task.lowering for task in others] == ["Winograd 2x2", "Winograd 4x4"]
        assert {task.weight for task in others} == {first.weight}
        inputs = {task.shape.split(", ", 2)[2] for task in (first, *others)}
        assert len(inputs) == 1  # but for the weights
        assert not any(task.has_default for task in others)
    assert len({task.digest for task in tasks}) == len(tasks)


def test_layers_that_were_chosen_take_the_place_of_others(
    lowered: list[Any], tasks: list[Task], tmp_path: Path
) -> None:
    first, *others = lowered
    chosen = [
        next(t for t in tasks if t.layer == layer and t.lowering.endswith(name))
        for layer, name in zip(
            dict.fromkeys(t.layer for t in tasks if t.lowering),
            ("4x4", "2x2", "direct"),
            strict=True,
        )
    ]
    digests = {task.digest for task in chosen}
    made = composed(first, others, digests, layers.target())
    assert digests == {
        t.digest for t in extract_all(made, [], layers.target(), LLVM) if t.flop > 1e5
    }
    configs = {t.digest: as_configs(t.space.random(RNG, 1))[0] for t in chosen}
    tuned, applied = schedule_layers(made, {t.digest: t for t in tasks}, configs, LLVM)
    assert applied == digests
    expected = outputs(first, tmp_path / "first.so")
    error = np.abs(outputs(tuned, tmp_path / "tuned.so") - expected).max()
    assert 0 < error < 1e-5 * np.abs(expected).max()


def test_what_was_not_chosen_is_not_looked_for(lowered: list[Any], tasks: list[Task]) -> None:
    def none() -> Any:
        raise AssertionError("lowered for nothing")
        yield

    chosen = {task.digest for task in tasks if not task.instead}
    assert composed(lowered[0], none(), chosen, layers.target()) is lowered[0]


def test_models_whose_calls_differ_have_no_lowerings_in_common(lowered: list[Any]) -> None:
    other = lower(layers.network(), layers.tvm_target(), LLVM)
    assert pairs(lowered[0], other, layers.target()) == []
    assert extract_all(other, [lowered[1]], layers.target(), LLVM)


def one_layer() -> tuple[nn.Module, torch.Tensor]:
    """A convolution that the rules compute plainly, and that takes half as long otherwise."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1), nn.ReLU())
    return net.eval(), torch.randn(1, CHANNELS, WIDTH, WIDTH)


def test_a_whole_run_chooses_another_lowering_and_applies_it(tmp_path: Path) -> None:
    out, spec = tmp_path / "run", f"{__name__}:one_layer"
    request = Request(
        spec,
        trials=17,
        out=str(out),
        engine="serial",
        explorer="random",
        threads=1,
        compare=(),
        store=f"memory://{tmp_path}",
        measuring=PATIENT,
        storing=Storing(disturbed=1.0),
        confirming=Confirming(finalists=1, model_seconds=0.5, clearly=0.25, tie=0.25),
    )
    result = api.tune(request, Progress())
    assert result.verified is not None
    assert result.verified.ok
    (layer,) = (layer for layer in result.layers if layer.others)
    assert layer.task.lowering in ("Winograd 2x2", "Winograd 4x4")
    reached = dict(layer.others)
    assert layer.best < reached["direct"]
    assert layer.default > layer.best
    assert layer.measurements == sum(r.task in of_layer(result, layer) for r in result.records)
    again = api.tune(replace(request, resume=True), Progress())
    assert len(again.records) == len(result.records)
    assert next(row for row in again.layers if row.others).task.digest == layer.task.digest
    applied = api.apply(out, spec)
    assert applied.verified is not None
    assert applied.verified.ok
    assert applied.layers == len(result.layers)
    assert applied.applied == sum(o.config != DEFAULT for o in result.outcomes)


def of_layer(result: RunResult, layer: LayerResult) -> set[str]:
    return {task.digest for task in result.tasks if task.layer == layer.task.layer}
