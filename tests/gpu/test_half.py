"""Layers of 16-bit floats on a simulated GPU: right winners are kept, wrong ones refused."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import tvm
from tvm import te, topi

from chameleon_ray.api.first_verdict import ImpreciseError, judge
from chameleon_ray.api.model_process import ModelProcess
from chameleon_ray.compiler.kinds import CUDA, resolve
from chameleon_ray.compiler.passes.lower import lower
from chameleon_ray.compiler.spaces.design import design
from chameleon_ray.compiler.spaces.extract import extract, layer_digest
from chameleon_ray.compiler.spaces.sketch import Program
from chameleon_ray.measure.cores import available
from chameleon_ray.measure.measurer import Artifact
from chameleon_ray.options import Confirming, Request
from chameleon_ray.record import DEFAULT, Status
from chameleon_ray.space import Config, as_configs
from chameleon_ray.task import Task
from tests.gpu.conftest import Builders, Tools
from tests.tvm import layers
from tests.tvm.test_mixed_precision import Groups, of

ARCH = resolve("cuda:sm_90", 1)
TARGET = tvm.target.Target(json.loads(ARCH))
DEPTH = 4608
"""Products of one output of ResNet-18's last convolutions of 3x3."""
INFINITE = float("inf")
QUICK = Confirming(repeats=1)


def dense(first: int = 0) -> Any:
    """A product of halves with sums of float32 that begin with the given place."""
    x, w = (te.placeholder((32, DEPTH), "float16", name) for name in "xw")
    k = te.reduce_axis((0, DEPTH - first), "k")

    def point(i: Any, j: Any) -> Any:
        return te.sum(x[i, k + first].astype("float32") * w[j, k + first].astype("float32"), k)

    total = te.compute((32, 32), point, "matmul")
    return layers.module(x, w, te.compute((32, 32), lambda i, j: total[i, j].astype("float16")))


def task(module: Any) -> Task:
    """A layer with TVM's own sketches, which are for tensor cores."""
    space, program = design(module, TARGET, replace(CUDA, templates=tuple))
    return Task("dense", layer_digest(module["main"], ARCH), ARCH, 1, 1e6, space, program.dumps())


def built(builder: Builders, one: Task, count: int) -> Iterator[tuple[Config, Artifact]]:
    """The default schedule and the first configurations, of many at random, that compile."""
    rng, found = np.random.default_rng(0), 0
    for config in (DEFAULT, *as_configs(one.space.random(rng, 30))):
        artifact = builder.build(one, config)
        if artifact.status is Status.OK:
            yield config, artifact
            found += 1
            if found > count:
                return


@dataclass(frozen=True)
class Products:
    """A layer with a default and a candidate, and the default of a layer that is not the same."""

    task: Task
    default: Artifact
    config: Config
    candidate: Artifact
    wrong: Artifact


@pytest.fixture(scope="module")
def products(builders: Builders) -> Products:
    one = task(dense())
    (_, default), (config, candidate) = built(builders, one, 1)
    ((_, wrong),) = built(builders, task(dense(first=256)), 0)
    return Products(one, default, config, candidate, wrong)


def test_a_winner_on_tensor_cores_is_kept_and_a_wrong_one_refused(
    tools: Tools, products: Products
) -> None:
    _, runner = tools
    schedule = Program.loads(products.task.program).schedule(products.config, CUDA.generator)
    assert "mma_sync" in schedule.mod.script()
    candidates = (products.default, products.candidate, products.wrong)
    finalists = runner.contest(products.task, candidates, QUICK)
    assert isinstance(finalists, tuple), finalists
    assert [finalist.right for finalist in finalists] == [True, True, False]
    assert max(finalist.max_rel_err for finalist in finalists[:2]) < 1e-3


def test_a_wrong_default_is_told_from_right_candidates(tools: Tools, products: Products) -> None:
    _, runner = tools
    finalists = runner.contest(products.task, (products.wrong, products.default), QUICK)
    assert isinstance(finalists, tuple), finalists
    assert [finalist.right for finalist in finalists] == [False, True]


def test_threads_of_a_warp_wait_for_what_they_add_up(tools: Tools) -> None:
    """Sums and largest values of bfloat16 pass through shared memory, as it is not shuffled."""
    builder, runner = tools
    rows = te.placeholder((8, 200), "bfloat16", "rows")
    softmax = task(layers.module(rows, topi.nn.softmax(rows)))
    artifact = builder.build(softmax, DEFAULT)
    assert artifact.status is Status.OK, artifact.error
    outputs = runner.outputs(softmax, artifact)
    assert isinstance(outputs, list), outputs
    given, found = (array.astype("float32") for array in outputs)
    wanted = np.exp(given - given.max(1, keepdims=True))
    wanted /= wanted.sum(1, keepdims=True)
    np.testing.assert_allclose(found, wanted, rtol=16 * float(ml_dtypes.finfo("bfloat16").eps))


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_depthwise_and_grouped_convolutions_are_right(tools: Tools, precision: str) -> None:
    builder, runner = tools
    lowered = lower(of(Groups).module, TARGET, CUDA, precision=precision)
    _, *tasks = [one for one in extract(lowered, ARCH, CUDA) if "conv2d" in one.name]
    assert len(tasks) == 2
    for one in tasks:
        artifacts = tuple(artifact for _, artifact in built(builder, one, 1))
        assert len(artifacts) == 2, one.name
        finalists = runner.contest(one, artifacts, QUICK)
        assert isinstance(finalists, tuple), finalists
        assert [finalist.right for finalist in finalists] == [True, True], one.name


def test_what_float16_cannot_hold_is_told_before_the_search(
    gpu: dict[str, str], tmp_path: Path
) -> None:
    asked, library = Request("tests.whole.net:large", target="cuda:sm_90"), tmp_path / "untuned.so"
    with ExitStack() as stack:
        process = ModelProcess(CUDA, available()[:1], stack)
        for precision in ("float16", "bfloat16"):
            request = replace(asked, precision=precision)
            prepared = process.prepare(request)
            process.compile_untuned(library)
            if precision == "float16":
                with pytest.raises(ImpreciseError, match=r"in float16.* --precision bfloat16, or"):
                    judge(request, prepared, process, library, None, INFINITE)
        _, verified = judge(request, prepared, process, library, None, INFINITE)
    assert verified is not None
    assert (verified.outcome, verified.against) == ("verified", "torch")
    assert (verified.precision, verified.tolerance) == ("bfloat16", 0.5)
    assert "bfloat16 allows 0.5" in verified.errors
    assert verified.max_rel_err > 1e-6
