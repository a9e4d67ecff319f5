"""A made-up result of tuning ResNet-18, for looking at the report; no figure in it was measured."""

import hashlib
from pathlib import Path

import numpy as np

from chameleon_ray.knob import Knob
from chameleon_ray.ledger import Account
from chameleon_ray.record import DEFAULT, Record, Status
from chameleon_ray.report.layer_result import LayerOutcome
from chameleon_ray.report.result import PHASES, Latency, RunResult, Verified
from chameleon_ray.space import DesignSpace
from chameleon_ray.task import Task

REASONS = {7: "every schedule crashed", 16: "no candidate was 1 % faster"}
SPACE = DesignSpace((Knob.tiling("tile_co", 64, 3, 16), Knob.listed("unroll", [0, 16, 64, 512])))
ERRORS = {
    Status.BUILD_ERROR: "InternalError: Check failed: vthread extent 128 exceeds 64",
    Status.BUILD_TIMEOUT: "compiling took longer than 5 s",
    Status.CRASH: "Traceback (most recent call last):\n  File 'run.py', line 7\nSegfault: 11",
    Status.INVALID: "<script>alert('vector lanes & more')</script>",
}


def task(name: str, weight: int = 1, flop: float = 2e8, shape: str = "") -> Task:
    """A task whose digest is made from its name."""
    digest = hashlib.sha256(name.encode()).hexdigest()[:16]
    return Task(name, digest, "llvm", weight, flop, SPACE, b"", shape)


def record(
    of: Task, milliseconds: float | None, config: tuple[int, ...] = (1, 1), **fields: object
) -> Record:
    """A success that took so long, or a failure where there is no latency."""
    status = fields.pop("status", Status.CRASH if milliseconds is None else Status.OK)
    latencies = () if milliseconds is None else (1e-3 * milliseconds,)
    known = {"device": "cpu", "values": '{"unroll": 16}', "latencies": latencies} | fields
    return Record(of.digest, "llvm", config=config, status=status, **known)  # type: ignore[arg-type]


def fake_result(folder: Path, seed: int = 0) -> RunResult:
    """Eighteen layers, some hundreds of records, failures, a layer that never ran."""
    rng = np.random.default_rng(seed)
    tasks = _tasks()
    records = sorted(
        (r for n, t in enumerate(tasks) for r in _records(t, n, rng)), key=lambda r: r.finished
    )
    outcomes = [
        LayerOutcome(t.digest, *_won(t, records), reason=REASONS.get(n, ""))
        for n, t in enumerate(tasks)
    ]
    untuned, tuned = _whole(tasks, outcomes, "default"), _whole(tasks, outcomes, "best")
    return RunResult(
        model="resnet-18",
        target='{"kind": "llvm", "mcpu": "native"}',
        device="Made-up CPU, 8 cores",
        seed=seed,
        preset="chameleon",
        explorer="ppo",
        sampler="adaptive",
        wall_seconds=364.2,
        seconds=dict(
            zip(PHASES, (2.1, 3.4, 118.0, 6.2, 21.5, 410.0, 232.0, 9.3, 2.2), strict=True)
        ),
        device_busy_fraction=0.681,
        tasks=tuple(tasks),
        records=tuple(records),
        outcomes=tuple(outcomes),
        processes=_processes(),
        untuned=Latency(1.08 * untuned, 0.02 * untuned),
        tuned=Latency(1.13 * tuned, 0.03 * tuned),
        verified=Verified(True, 3.1e-5, 2.4e-6, "torch"),
        inputs=(("data", (1, 3, 224, 224), "float32"),),
        folder=folder,
        settings={"minutes": 6.0, "plan": 16, "ppo.walkers": 128},
        versions={"chameleon_ray": "0.1.0", "apache-tvm": "0.27.0.post1", "ray": "2.60.0"},
    )


def _tasks() -> list[Task]:
    names = []
    for channels, size in ((64, 56), (128, 28), (256, 14), (512, 7)):
        for kind in ("relu", "add_relu", "stride2", "downsample"):
            shape = f"1x{channels}x{size}x{size}, {channels}x{channels}x3x3"
            names.append((f"fused_conv2d_add_{kind}_{channels}", shape))
    names += [("fused_max_pool2d", "1x64x112x112"), ("fused_dense_add", "1x512, 1000x512")]
    weights = [1 + n % 3 for n in range(len(names))]
    flops = [2.3e8] * 16 + [0.0, 1e6]
    rows = zip(names, weights, flops, strict=True)
    return [task(name, weight, flop, shape) for (name, shape), weight, flop in rows]


def _records(of: Task, number: int, rng: np.random.Generator) -> list[Record]:
    default = float(rng.uniform(0.6, 2.4))
    if number == 7:
        return [record(of, None, config=(n, 0), finished=9.0 + n) for n in range(12)]
    made = [record(of, default, config=DEFAULT, values="{}", finished=4.0 + 0.1 * number)]
    for n in range(int(rng.integers(24, 72))):
        config, finished = (n % 20, n % 4), 8.0 + 4.5 * n + 0.2 * number
        if rng.random() < 0.12:
            status = Status(rng.choice([str(status) for status in ERRORS]))
            text = ERRORS[status].replace("128", str(rng.integers(65, 999)))
            made.append(record(of, None, config, status=status, error=text, finished=finished))
            continue
        slow = 1.2 if number == 16 else 0.25 + 2.5 / (1 + 0.08 * n)
        latency = default * slow * float(rng.lognormal(0, 0.35))
        made.append(
            record(of, max(latency, default if number == 16 else 0.01), config, finished=finished)
        )
    return made


def _won(of: Task, records: list[Record]) -> tuple[tuple[int, ...], float, float]:
    own = [r for r in records if r.task == of.digest]
    best = min(own, key=lambda r: r.latency)
    default = next((r.latency for r in own if r.config == DEFAULT), float("inf"))
    return best.config if best.latency < default else DEFAULT, default, best.latency


def _whole(tasks: list[Task], outcomes: list[LayerOutcome], which: str) -> float:
    seconds = [t.weight * getattr(o, which) for t, o in zip(tasks, outcomes, strict=True)]
    return sum(part for part in seconds if np.isfinite(part))


def living(name: str, busy: dict[str, float], total: float) -> Account:
    """A process that was busy like this and waited for the rest of ``total`` seconds."""
    return Account(name, busy, total - sum(busy.values()))


def _processes() -> tuple[Account, ...]:
    builders = [living(f"builder {n}", {"build": 205.0 - 9 * n}, 350.0) for n in range(2)]
    return (
        living("driver", {"import": 2.1, "extract": 3.4, "apply": 9.3, "verify": 2.2}, 364.0),
        living("explorer 0", {"explore": 118.0, "sample": 6.2}, 349.0),
        living("cost model", {"fit": 21.5}, 349.0),
        *builders,
        living("runner cpu:1", {"run": 232.0}, 352.0),
    )
