"""Tunes a model with stock MetaSchedule and with this engine, and compares the two.

    python scripts/bench_vs_metaschedule.py MODEL [--trials-per-task 64] [--quick]

One after the other on the same machine: TVM's ``tune_relax`` with its evolutionary search, XGBoost
cost model, LocalBuilder on all cores and LocalRunner, then ``chameleon tune``. Both time kernels on
the same cores with as many threads, by default half of the cores. Then both compiled models are
timed in turns on those cores. A layer of which MetaSchedule measured nothing is named, and left out
of its curve. What each side found is kept under ``--out`` and taken over by the same command; a
side that was interrupted begins anew.
"""

import argparse
import json
import platform
import sys
from collections.abc import Collection
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import bench_curves
import numpy as np
import psutil
from bench_sides import chameleon, metaschedule, our_events, side, their_events

from chameleon_ray.api.replay import destinations
from chameleon_ray.compiler.kinds import LLVM, resolve
from chameleon_ray.compiler.runtime.layer_inputs import random_array
from chameleon_ray.compiler.runtime.model_bench import ModelBench
from chameleon_ray.compiler.target import TargetError, device_name
from chameleon_ray.compiler.tvm_process import block_torch
from chameleon_ray.errors import UserError
from chameleon_ray.measure.bench import Check, Duel, Outputs
from chameleon_ray.measure.cores import available, split
from chameleon_ray.measure.example import Example
from chameleon_ray.measure.isolate import Ending
from chameleon_ray.options import Confirming
from chameleon_ray.report.result import Latency

PACKAGES = ("apache-tvm", "apache-tvm-ffi", "xgboost", "torch", "ray", "numpy", "chameleon_ray")
FULL = {
    "trials_per_task": 64,
    "trials_per_batch": 64,
    "their_minutes": None,
    "our_minutes": 15.0,
    "short_imports": False,
}
QUICK = {**FULL, "trials_per_task": 4, "our_minutes": 3.0, "short_imports": True}
SIDES = ("metaschedule", "chameleon")
BOUNDS = (
    "Its curve is the sum of its other layers, and this engine's of all of its own, so that the "
    "ratios of time, measurements and layers are at least what is said."
)


def main() -> None:
    """Runs the sides that are missing, times both models, reports."""
    arguments = parse()
    try:
        destinations(None, arguments.json, ())
        if arguments.plot and find_spec("matplotlib") is None:
            raise UserError("--plot needs matplotlib; install it with: pip install '.[bench]'")
        settings = settled(arguments)
        claim(arguments.out, settings)
        theirs = metaschedule(arguments.out / SIDES[0], settings)
        ours = chameleon(arguments.out / SIDES[1], settings)
        report(arguments, settings, compared(arguments.out, settings, theirs, ours))
    except (UserError, TargetError) as error:
        raise SystemExit(f"Error: {error}") from error
    except OSError as error:
        raise SystemExit(f"Error: {error.filename}: {error.strerror}.") from error
    except KeyboardInterrupt:
        print("Interrupted; the same command takes over finished sides.", file=sys.stderr)
        raise SystemExit(130) from None


def parse() -> argparse.Namespace:
    """The command line; ``--quick`` is for what is not given."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("model", metavar="MODEL", help="as for chameleon tune")
    parser.add_argument("--trials-per-task", type=int, help="most of MetaSchedule; 64, quick 4")
    parser.add_argument("--trials-per-batch", type=int, help="most of a batch of its; 64, TVM's")
    parser.add_argument("--their-minutes", type=float, help="after which it ends; no limit")
    parser.add_argument("--our-minutes", type=float, help="of the engine; 15, quick 3")
    parser.add_argument("--short-imports", action="store_true", default=None, help=SHORT)
    parser.add_argument("--threads", type=int, help="of a kernel, on as many cores; half of all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="for results; runs/vs_metaschedule/MODEL")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--plot", type=Path, help="where to draw the curves, as SVG")
    parser.add_argument("--quick", action="store_true", help="few trials: about 12 minutes")
    arguments = parser.parse_args()
    for name, value in (QUICK if arguments.quick else FULL).items():
        if getattr(arguments, name) is None:
            setattr(arguments, name, value)
    amounts = [getattr(arguments, name) for name in FULL if name != "short_imports"]
    if any(amount is not None and not amount > 0 for amount in amounts):
        parser.error("trials and minutes must be more than 0.")
    name = Path(arguments.model).name.replace(":", "_")
    arguments.out = arguments.out or Path("runs/vs_metaschedule") / name
    return arguments


SHORT = "save MetaSchedule the 20 s in which TVM parses all tensor intrinsics, per process; quick"


def settled(arguments: argparse.Namespace) -> dict[str, Any]:
    """What the results depend on; they are taken over where it is the same."""
    block_torch()
    cores = available()
    timing = split(cores, arguments.threads)[1]
    return {
        "model": arguments.model,
        "target": resolve("llvm", len(timing)),
        "device": device_name(len(timing)),
        "cores": list(cores),
        "timing_cores": list(timing),
        "seed": arguments.seed,
        **{name: getattr(arguments, name) for name in FULL},
        "versions": {package: version(package) for package in PACKAGES},
    }


def claim(out: Path, settings: dict[str, Any]) -> None:
    """Makes the folder this comparison's.

    Raises:
        UserError: It holds something else.
    """
    out.mkdir(parents=True, exist_ok=True)
    path = out / "settings.json"
    if path.exists() and json.loads(path.read_text()) != settings:
        raise UserError(f"--out {out}: holds a comparison with other arguments; choose another.")
    if not path.exists() and any(out.iterdir()):
        raise UserError(f"--out {out}: is not empty and no comparison; choose another folder.")
    path.write_text(json.dumps(settings, indent=2) + "\n")


def compared(out: Path, settings: dict, batches: list[dict], summary: dict) -> dict[str, Any]:
    """Everything that is reported."""
    theirs, all_theirs = their_events(batches)
    theirs_weights = bench_curves.timed(theirs, all_theirs)
    ours, ours_weights = our_events(out / SIDES[1], summary)
    sides = {
        SIDES[0]: side(theirs, bench_curves.curve(theirs, theirs_weights), len(all_theirs)),
        SIDES[1]: side(ours, bench_curves.curve(ours, ours_weights), len(ours_weights)),
    }
    for name, found in sides.items():
        if not found["curve"]:
            what = "any layer" if name == SIDES[0] else "every layer"
            raise UserError(f"{name} did not measure {what}; give it more time or trials.")
    libraries = tuple(out / name / "model.so" for name in SIDES)
    sides[SIDES[0]]["never_measured"] = names(batches, all_theirs.keys() - theirs_weights.keys())
    times, agreement = duel(libraries, out / SIDES[1], settings)
    for name, latencies in zip(SIDES, times, strict=True):
        of = Latency.of(latencies)
        spread = None if of.spread is None else 1e3 * of.spread
        sides[name]["model_ms"] = {"median": 1e3 * of.seconds, "spread": spread}
    sides[SIDES[1]]["confirmed_layers_ms"] = summary["layers_ms"]
    medians = [sides[name]["model_ms"]["median"] for name in SIDES]
    return {
        **settings,
        **bench_curves.ratios(*(sides[name]["curve"] for name in SIDES)),
        "model_latency_ratio": medians[0] / medians[1],
        "trial_seconds": {name: found["trial_seconds"] for name, found in sides.items()},
        "outputs_agree": agreement,
        **sides,
        "machine": {
            "cpus": len(settings["cores"]),
            "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
            "system": platform.platform(),
        },
    }


def names(batches: list[dict], tasks: Collection[str]) -> list[str]:
    """What MetaSchedule calls some of its tasks; those that it never turned to have no name."""
    known = {str(batch["task"]): batch["name"] for batch in batches}
    return [known.get(task, f"task {task}") for task in sorted(tasks)]


def duel(
    libraries: tuple[Path, ...], run: Path, settings: dict
) -> tuple[list[tuple[float, ...]], dict]:
    """Latencies of whole models in turns, and how far their outputs are apart."""
    rng, identity = np.random.default_rng(0), json.loads((run / "run.json").read_text())
    inputs = tuple(random_array(rng, tuple(shape), kind) for shape, kind in identity["inputs"])
    bench = ModelBench(LLVM, tuple(settings["timing_cores"]))

    def value(job: Any) -> Any:
        outcome = bench.ask(job)
        if outcome.ending is not Ending.OK:
            raise UserError(f"The compiled models cannot be timed: {outcome.error}")
        return outcome.value

    try:
        first, second = map(str, libraries)
        example = Example(inputs, value(Outputs((second,), inputs)))
        verdict = value(Check((first,), (example,)))
        times = value(Duel((first, second), inputs, Confirming()))
    finally:
        bench.close()
    return times, {"ok": verdict.ok, "max_rel_err": verdict.max_rel_err}


def report(arguments: argparse.Namespace, settings: dict, body: dict) -> None:
    """The files asked for, then the row for Markdown and what it depends on."""
    if arguments.json:
        arguments.json.write_text(json.dumps(body, indent=2) + "\n")
    if arguments.plot:
        curves = {"MetaSchedule": body[SIDES[0]]["curve"], "this engine": body[SIDES[1]]["curve"]}
        arguments.plot.parent.mkdir(parents=True, exist_ok=True)
        bench_curves.draw(curves, body["model"], arguments.plot)
    print(f"{settings['device']} of {len(settings['cores'])}; pairs are MetaSchedule / this engine")
    print(bench_curves.table(body))
    if left := body[SIDES[0]]["never_measured"]:
        print(f"MetaSchedule never measured {', '.join(left)}. {BOUNDS}")
    if body["time_ratio"] is None:
        print("This engine did not reach MetaSchedule's final latency.")
    if not body["outputs_agree"]["ok"]:
        print("The models' outputs differ.")


if __name__ == "__main__":
    main()
