"""Compares the latencies of tuned models with those of what a user would pick instead.

    python scripts/bench_frameworks.py RUN_DIR... [--layers] [--json FILE]

Each RUN_DIR is a finished ``chameleon tune`` of a classifier of the zoo, or of a factory of torch
modules that can be imported here, too. Its model.so is timed in turns with ONNX Runtime, PyTorch
eager and ``torch.compile`` on the same cores, with as many threads as it was tuned for: the same
network, weights and input, in float32. ``--layers`` adds what ONNX Runtime's own profile says of
each layer, beside the latencies of the tuned layers.
"""

import argparse
import json
import os
import platform
import shutil
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import bench_layers
import numpy as np
from bench_contestants import RUNTIMES, Contestant, ContestantError, Entry, contest, export
from spread import spread

from chameleon_ray.api.replay import destinations
from chameleon_ray.compiler.frontend.load import FACTORY, ModelError
from chameleon_ray.compiler.frontend.zoo import ZOO
from chameleon_ray.compiler.runtime.cpu_runner import timing_environment
from chameleon_ray.compiler.runtime.layer_inputs import random_array
from chameleon_ray.compiler.runtime.model_bench import verdict
from chameleon_ray.errors import UserError
from chameleon_ray.measure.cores import available

OURS = "this engine"
PACKAGES = ("chameleon_ray", "apache-tvm", "onnxruntime", "torch", "numpy")
NEEDED = {"ONNX Runtime": "onnxruntime", "PyTorch eager": "torch", "torch.compile": "torch"}
"""Package of each rival."""


def main() -> None:
    """Times every run's model and its rivals, prints rows, writes what was asked for."""
    arguments = parse()
    try:
        destinations(None, arguments.json, ())
        runs = [read(folder) for folder in arguments.runs]
        bodies = [compared(run, arguments) for run in runs]
    except (UserError, ContestantError) as error:
        raise SystemExit(f"Error: {error}") from error
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    if arguments.json:
        machine = {"cpus": os.cpu_count(), "system": platform.platform()}
        body = {"models": bodies, "versions": versions(), "machine": machine}
        arguments.json.write_text(json.dumps(body, indent=2) + "\n")
    print(table(bodies))
    for body in bodies:
        for note in body["notes"]:
            print(note)
        if "layers" in body:
            print(f"\n{body['model']}\n{bench_layers.table(body['layers'])}")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("runs", metavar="RUN_DIR", nargs="+", type=Path, help="of chameleon tune")
    parser.add_argument("--rounds", type=int, default=15, help="in each, all have their turn")
    parser.add_argument("--seconds", type=float, default=0.5, help="of one turn")
    parser.add_argument("--layers", action="store_true", help="beside ONNX Runtime's profile")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    arguments = parser.parse_args()
    if arguments.rounds < 1 or not arguments.seconds > 0:
        parser.error("rounds and seconds must be more than 0.")
    return arguments


def read(folder: Path) -> dict[str, Any]:
    """What is needed of a finished run: its identity, its summary and where it is.

    Raises:
        UserError: It is none, or its model cannot be had here.
    """
    try:
        identity = json.loads((folder / "run.json").read_text())
        summary = json.loads((folder / "summary.json").read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"{folder} is no finished run of chameleon tune: {error}") from error
    model = identity["options"]["model"]
    if model not in ZOO and not FACTORY.fullmatch(model):
        raise UserError(
            f"{folder} is a run of {model}; only classifiers of the zoo ({', '.join(ZOO)}) and "
            "package.module:factory can be compared."
        )
    if json.loads(identity["target"])["kind"] != "llvm":
        raise UserError(f"{folder} was tuned for {identity['target']}; only CPUs are compared.")
    return {"folder": folder, "identity": identity, "summary": summary}


def compared(run: Mapping[str, Any], arguments: argparse.Namespace) -> dict[str, Any]:
    """One model in all runtimes.

    Raises:
        ContestantError: The tuned model cannot be run, or ONNX Runtime's profile not be had.
        UserError: The machine has too few cores.
    """
    with ExitStack() as stack:
        entry = entered(run, Path(stack.enter_context(TemporaryDirectory())))
        os.environ.update(timing_environment(len(entry.cores)))
        contestants, notes = admitted(entry, stack)
        times = contest(contestants, arguments.rounds, arguments.seconds)
        reference = next((c for c in contestants if c.name == "PyTorch eager"), contestants[0])
        agreement = {one.name: verdict(one.outputs, reference.outputs) for one in contestants}
        body = figures(times) | {
            "model": entry.model,
            "threads": len(entry.cores),
            "reference": reference.name,
            "max_rel_err": {name: found.max_rel_err for name, found in agreement.items()},
            "outputs_agree": all(found.ok for found in agreement.values()),
            "notes": notes,
        }
        if not body["outputs_agree"]:
            notes.append(f"The outputs of {entry.model} differ.")
        if arguments.layers and "ONNX Runtime" in times:
            nodes = bench_layers.profiled(entry)
            body["layers"] = bench_layers.compared(run["summary"]["tasks"], nodes)
    return body


def entered(run: Mapping[str, Any], scratch: Path) -> Entry:
    """The run's model, input and cores.

    Raises:
        UserError: The machine has too few cores.
    """
    identity = run["identity"]
    threads = int(json.loads(identity["target"]).get("num-cores", 1))
    cores = available()[-threads:]  # those the engine times kernels on
    if len(cores) < threads:
        raise UserError(f"{run['folder']} was tuned for {threads} cores; here are {len(cores)}.")
    return Entry(
        model=identity["options"]["model"],
        seed=identity["options"]["seed"],
        library=run["folder"] / "model.so",
        onnx=scratch / "model.onnx",
        arrays=inputs(identity),
        cores=cores,
    )


def inputs(identity: Mapping[str, Any]) -> tuple[np.ndarray, ...]:
    """Random inputs, but a factory's own where it has some: not every number is a word.

    Raises:
        UserError: The factory cannot be had here.
    """
    options, rng = identity["options"], np.random.default_rng(0)
    if options["model"] not in ZOO:
        from chameleon_ray.compiler.frontend.torch.factory import made

        try:
            own = [
                tensor.numpy() for tensor in made(options["model"], options["seed"])[1].tensors()
            ]
        except ModelError as error:
            raise UserError(str(error)) from error
        if [[list(array.shape), array.dtype.name] for array in own] == identity["inputs"]:
            return tuple(own)
    return tuple(random_array(rng, tuple(shape), kind) for shape, kind in identity["inputs"])


def admitted(entry: Entry, stack: ExitStack) -> tuple[list[Contestant], list[str]]:
    """The runtimes that can run the model, this engine first, and a sentence on each other one."""
    contestants, notes = [], []
    for name in RUNTIMES:
        try:
            if name in NEEDED and find_spec(NEEDED[name]) is None:
                raise ContestantError("it is not installed; pip install '.[bench]'")
            if name == "torch.compile" and not shutil.which(os.environ.get("CXX", "g++")):
                raise ContestantError("it needs a C++ compiler, and there is no g++")
            if name == "ONNX Runtime":
                export(entry)
            print(f"{entry.model}: {name}", file=sys.stderr, flush=True)
            contestant = Contestant(name, entry)
        except ContestantError as error:
            if name == OURS:
                raise ContestantError(f"{entry.library} cannot be run: {error}") from error
            notes.append(f"{name} is left out of {entry.model}: {error}.")
            continue
        stack.callback(contestant.close)
        contestants.append(contestant)
    return contestants, notes


def figures(times: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """Latencies in ms, and the ratio of this engine's to each other one's, round by round."""
    ours = times[OURS]
    return {
        "latency_ms": {name: spread([1e3 * t for t in some]) for name, some in times.items()},
        "ratio": {
            name: spread([own / theirs for own, theirs in zip(ours, some, strict=True)])
            for name, some in times.items()
            if name != OURS
        },
    }


def versions() -> dict[str, str | None]:
    """Of all that takes part; None where it is not installed."""
    found: dict[str, str | None] = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found


def table(bodies: Sequence[Mapping]) -> str:
    """A row per model in Markdown: latencies in ms, then this engine's over each other one's."""
    rivals = [name for name in RUNTIMES if name != OURS]
    titles = ["model", "threads", *(f"{name}, ms" for name in RUNTIMES)]
    titles += [f"over {name}" for name in rivals]
    rows = [titles, ["---"] + ["---:"] * (len(titles) - 1)]
    for body in bodies:
        cells = [body["model"], str(body["threads"])]
        cells += [shown(body["latency_ms"].get(name), 2) for name in RUNTIMES]
        rows.append(cells + [shown(body["ratio"].get(name), 2) for name in rivals])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def shown(found: Mapping[str, float] | None, digits: int) -> str:
    """A median with its spread; a dash where there is none."""
    if found is None:
        return "-"
    return f"{found['median']:.{digits}f} ± {found['spread']:.{digits}f}"


if __name__ == "__main__":
    main()
