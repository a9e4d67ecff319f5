"""The result of a run of 2,700 measurements: real searches of the recorded spaces of tests/data.

The measurements were made on other machines, and the model is made up of the recorded layers. The
searches are the project's own, and so is all that the report says of them.
"""

from dataclasses import asdict, replace
from functools import cache
from itertools import count
from pathlib import Path

from chameleon_ray.api.replay import replay
from chameleon_ray.ledger import Account
from chameleon_ray.measure.ceiling import Ceiling
from chameleon_ray.options import Boosting, Request, Search
from chameleon_ray.record import DEFAULT, Record
from chameleon_ray.report.layer_result import LayerOutcome
from chameleon_ray.report.result import Compared, Latency, RunResult, Verified
from chameleon_ray.task import Task
from tests.pure.test_recorded_spaces import NAMES, table

SEARCH = Search(
    explorer="random",
    cost_model="boosting",
    boosting=Boosting(rounds=30, depth=4),
    plan=40,
    small_plan=40,
)
EACH = 225
SLOWER = 20.0
"""How much slower than a layer's best its default schedule is made out to be."""


@cache
def searched_run() -> RunResult:
    """Every recorded space is a layer; each is searched, one after the other."""
    numbers, clock = count(), 1.0
    tasks, records, outcomes = list[Task](), list[Record](), list[LayerOutcome]()
    for position, name in enumerate(NAMES):
        task = _task(position, name)
        (run,) = replay(table(name), SEARCH, EACH, [0]).runs
        best = min(run.records, key=lambda one: one.latency)
        slow = SLOWER * best.latency
        default = replace(
            best, config=DEFAULT, latencies=(slow,), finished=0.0, chosen_by="default schedule"
        )
        records += [
            replace(one, task=task.digest, sequence=next(numbers), finished=clock + one.finished)
            for one in (default, *run.records)
        ]
        clock = records[-1].finished
        tasks.append(task)
        final = 1.05 * best.latency
        outcomes.append(
            LayerOutcome(task.digest, best.config, slow, final, "patience", 0.0, "scored whole")
        )
    return _result(tuple(tasks), tuple(records), tuple(outcomes), clock)


def _task(position: int, name: str) -> Task:
    space = table(name).space
    return Task(
        name=f"fused_conv2d{position}_relu",
        digest=space.digest[:12] + f"{position:04x}",
        target="cuda",
        weight=1 + position % 3,
        flop=2e8,
        space=space,
        shape="1x64x56x56, 64x64x3x3, 1x64x56x56",
        traffic=1.6e6,
        nodes=tuple(f"features.{position}.conv{n}" for n in range(1 + position % 3)),
        what=f"conv 3x3/1 64\u219264 @56x56 + relu (recorded as {name})",
    )


def _result(
    tasks: tuple[Task, ...],
    records: tuple[Record, ...],
    outcomes: tuple[LayerOutcome, ...],
    clock: float,
) -> RunResult:
    tuned = sum(t.weight * o.best for t, o in zip(tasks, outcomes, strict=True))
    return RunResult(
        model="recorded layers",
        target="cuda",
        device=records[0].device,
        seed=0,
        preset="chameleon",
        explorer="ppo",
        sampler="adaptive",
        wall_seconds=clock + 12.0,
        seconds={"fit": 3.0, "explore": 1.0, "build": 20.0, "run": 30.0},
        device_busy_fraction=0.6,
        tasks=tasks,
        records=records,
        outcomes=outcomes,
        processes=(
            Account("driver", {"drive": 2.0}, clock - 2.0),
            Account("runner 1", {"run": 30.0}, 4.0, 1.0),
        ),
        untuned=Latency(SLOWER * tuned, 0.001),
        tuned=Latency(1.02 * tuned, 0.2 * tuned),
        comparison=(
            Compared("ONNX Runtime", "1.32.0", Latency(2.5 * tuned, 0.01 * tuned), 1),
            Compared("PyTorch", fault="the model is .onnx, not torch's"),
        ),
        verified=Verified(True, 1e-5, 1e-6, "torch"),
        inputs=(("x", (1, 64, 56, 56), "float32"),),
        folder=Path("runs/recorded"),
        settings=asdict(Request(model="net.onnx", minutes=2.0)),
        versions={"chameleon_ray": "0.1.0"},
        ceiling=Ceiling(flops=2e12, bytes=3e11, cores=1),
    )
