"""Transfer: tasks learn from each other."""

import asyncio
import dataclasses
import json
from functools import partial

import numpy as np
import pytest

from chameleon_ray.api.run_entries import entries_of
from chameleon_ray.api.warm_start import transfer_of
from chameleon_ray.errors import UserError
from chameleon_ray.folder import SAME, RunFolder
from chameleon_ray.knob import Knob
from chameleon_ray.options import Annealing, Transferring
from chameleon_ray.pool import InProcessPool
from chameleon_ray.presets import PRESETS
from chameleon_ray.record import Record, Status
from chameleon_ray.search.annealing import AnnealingExplorer
from chameleon_ray.search.gaussian import GaussianCostModel
from chameleon_ray.search.system import SearchSystem
from chameleon_ray.space import DesignSpace, as_configs
from chameleon_ray.task import Task, kind_of
from chameleon_ray.transfer import Transfer, translated
from chameleon_ray.tuner import Tuner
from tests.pure import toys

SEARCH = dataclasses.replace(
    PRESETS["chameleon"], explorer="annealing", annealing=Annealing(chains=64, steps=60)
)


def records_of(task: Task, count: int, seed: int = 0) -> list[Record]:
    """As many random configurations, timed."""
    configs = task.space.random(np.random.default_rng(seed), count)
    return [
        Record(
            task=task.digest,
            target=task.target,
            device="toy",
            config=config,
            values=json.dumps(task.space.values(config)),
            status=Status.OK,
            latencies=(toys.ToyRunner.latency(task, config),),
        )
        for config in as_configs(configs)
    ]


def system() -> SearchSystem:
    factories = {
        "cost model": partial(GaussianCostModel, SEARCH.gaussian),
        "explorer": partial(AnnealingExplorer, SEARCH.annealing, SEARCH.sampling.candidates),
        "sampler": partial(toys.sampler, SEARCH),
    }
    return SearchSystem(*(InProcessPool(name, make, {}, 0.0) for name, make in factories.items()))


def first_plan(transfer: Transfer | None, seed: int) -> float:
    """Mean fitness of the first configurations of a task, in one plan."""
    task = toys.task("convolution-2")
    at_once = dataclasses.replace(SEARCH, opening=SEARCH.first_plan)
    tuner = Tuner(task, system(), at_once, seed, transfer)
    batch = [config for config in asyncio.run(tuner.propose()) if config]
    assert len(set(batch)) == SEARCH.first_plan
    return float(np.mean(toys.landscape_of(task)(np.array(batch))))


def test_a_first_plan_is_better_for_what_another_layer_taught():
    teacher = toys.task("convolution-1")
    transfer = Transfer(Transferring())
    transfer.learn(teacher.kind, records_of(teacher, 120))
    taught = np.mean([first_plan(transfer, seed) for seed in range(4)])
    alone = np.mean([first_plan(Transfer(Transferring()), seed) for seed in range(4)])
    assert alone == np.mean([first_plan(None, seed) for seed in range(4)])
    assert taught > 1.3 * alone


def test_records_of_the_same_space_are_its_features():
    task = toys.task("sketched-1")
    records = records_of(task, 20)
    rows = np.stack([translated(task.space, record.values) for record in records])
    configs = np.array([record.config for record in records])
    np.testing.assert_array_equal(rows, task.space.features(configs))


def test_what_a_space_does_not_have_is_missing():
    knobs = (Knob.tiling("tile", 56, 2, 64), Knob.listed("unroll", (0, 16)))
    space = DesignSpace(knobs)
    row = translated(space, json.dumps({"tile": [8, 8], "other": 3}))
    np.testing.assert_array_equal(row, np.array([3, 3, 3, np.nan], dtype=np.float32))
    row = translated(space, json.dumps({"tile": [2, 2, 2], "unroll": 5}))
    assert np.isnan(row).all()


def test_lessons_come_from_others_of_the_same_kind_and_are_bounded():
    transfer = Transfer(Transferring(tasks=2, rows=10))
    pupil = toys.task("sketched-1")
    for number, count in ((1, 30), (2, 30), (3, 5), (4, 8)):
        task = toys.task(f"sketched-{number}")
        transfer.learn(task.kind, records_of(task, count, number))
    stranger = toys.task("convolution-1")
    transfer.learn(stranger.kind, records_of(stranger, 30))
    lessons = transfer.lessons(pupil)
    assert len(lessons.fitness) == len(lessons.features) == 10 + 8
    assert lessons.fitness.max() == 1.0
    assert transfer.lessons(toys.task("tiny-1")) is None


def test_a_layer_that_never_ran_teaches_nothing():
    transfer, task = Transfer(Transferring()), toys.task("sketched-1")
    failed = [
        dataclasses.replace(record, status=Status.CRASH, latencies=())
        for record in records_of(task, 5)
    ]
    transfer.learn(task.kind, failed)
    assert transfer.lessons(toys.task("sketched-2")) is None


def test_an_agent_is_inherited_within_a_kind():
    transfer = Transfer(Transferring())
    agent = {"places": np.zeros((2, 5))}
    transfer.keep_agent(toys.task("sketched-1"), agent)
    assert transfer.agent(toys.task("sketched-2")) is agent
    assert transfer.agent(toys.task("sketched-1")) == {}
    assert transfer.agent(toys.task("convolution-1")) == {}


def test_kinds_are_operators_without_numbers():
    assert kind_of("fused_conv2d3_add1_relu") == kind_of("fused_conv2d_add12_relu4")
    assert kind_of("fused_conv2d_add") != kind_of("fused_dense_add")


def test_an_earlier_run_of_the_same_layer_teaches_it(tmp_path):
    task = toys.task("sketched-1")
    folder = RunFolder(tmp_path / "run", existing=False)
    folder.resume(
        dict.fromkeys(SAME, "")
        | {"spaces": {task.digest: "0" * 16}, "layers": {task.digest: task.name}}
    )
    folder.database.append(records_of(task, 20))
    folder.close()
    transfer = transfer_of(PRESETS["chameleon"], entries_of(tmp_path / "run"))
    assert len(transfer.lessons(task).fitness) == len(set(r.config for r in records_of(task, 20)))
    with pytest.raises(UserError, match="learns nothing from others"):
        transfer_of(PRESETS["autotvm"], entries_of(tmp_path / "run"))


def test_teachers_that_order_measurements_alike_are_asked_more_often():
    pupil = toys.task("convolution-1")
    configs = as_configs(pupil.space.random(np.random.default_rng(0), 40))
    fitness = np.linspace(0.1, 1.0, len(configs))

    def records(digest: str, latencies: np.ndarray) -> list[Record]:
        return [
            Record(
                task=digest,
                target=pupil.target,
                device="toy",
                config=config,
                values=json.dumps(pupil.space.values(config)),
                status=Status.OK,
                latencies=(float(latency),),
            )
            for config, latency in zip(configs, latencies, strict=True)
        ]

    transfer, alone = Transfer(Transferring()), Transfer(Transferring())
    for one in (transfer, alone):
        one.learn(pupil.kind, records("alike", 1 / fitness))
    transfer.learn(pupil.kind, records("contrary", 1 / fitness[::-1]))
    assert set(transfer.suggestions(pupil)[:2]) == {configs[0], configs[-1]}
    measured = records(pupil.digest, 3 / fitness)[::8]
    assert transfer.suggestions(pupil, measured) == alone.suggestions(pupil)
