"""Compares the latencies of tuned models with those of what a user would pick instead.

    python scripts/bench_frameworks.py RUN_DIR... [--layers] [--json FILE [--more]]

Each RUN_DIR is a finished ``chameleon tune`` of a classifier of the zoo, or of a factory of torch
modules that can be imported here, too. Its model.so is timed in turns with ONNX Runtime, OpenVINO,
PyTorch eager and ``torch.compile`` on the same cores, with as many threads as it was tuned for: the
same network, weights and input, in float32. ``--layers`` adds what ONNX Runtime's own profile says
of each layer, beside the latencies of the tuned layers. ``--more`` adds the models to those that
FILE has, and prints the tables and the means of all.
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
from math import inf
from pathlib import Path
from typing import Any

import bench_layers
import numpy as np
from bench_contestants import RUNTIMES, contestant
from framework_table import OURS, cpu, means, table
from spread import spread

from chameleon_ray.api.replay import destinations
from chameleon_ray.compiler.frontend.frameworks.source import Source
from chameleon_ray.compiler.frontend.load import FACTORY, ModelError
from chameleon_ray.compiler.frontend.zoo import ZOO
from chameleon_ray.compiler.kinds.llvm import LLVM
from chameleon_ray.compiler.runtime.compared_library import Library
from chameleon_ray.compiler.runtime.layer_inputs import random_array
from chameleon_ray.compiler.runtime.model_bench import verdict
from chameleon_ray.errors import UserError
from chameleon_ray.measure.cores import available
from chameleon_ray.measure.frameworks import Framework, FrameworkError, in_turns
from chameleon_ray.options import Comparing

PACKAGES = ("chameleon_ray", "apache-tvm", "onnxruntime", "openvino", "torch", "numpy")
MODELS = ("torchvision", "timm", "transformers")
"""Packages that models may come from."""
NEEDED = {"ONNX Runtime": "onnxruntime", "OpenVINO": "openvino"}
"""Package of each rival; torch's are not named."""
COMPILING = ("torch.compile", "max-autotune")
"""Rivals that generate C++."""


def main() -> None:
    """Times every run's model and its rivals, prints rows, writes what was asked for."""
    arguments = parse()
    try:
        destinations(None, arguments.json, ())
        runs = [read(folder) for folder in arguments.runs]
        bodies = known(arguments.json) if arguments.more else []
        for run in runs:
            bodies.append(compared(run, arguments))
            keep(bodies, arguments.json)
    except (UserError, FrameworkError) as error:
        raise SystemExit(f"Error: {error}") from error
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    print(f"{table(bodies)}\n\n{means(bodies)}")
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
    parser.add_argument("--more", action="store_true", help="add to the figures that are there")
    arguments = parser.parse_args()
    if arguments.rounds < 1 or not arguments.seconds > 0:
        parser.error("rounds and seconds must be more than 0.")
    if arguments.more and not arguments.json:
        parser.error("--more adds to a file; give it with --json FILE.")
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
    if (copies := int(identity["options"].get("instances", 1))) > 1:
        raise UserError(
            f"{folder} was tuned for {copies} copies at once; chameleon bench {folder} times them."
        )
    return {"folder": folder, "identity": identity, "summary": summary}


def known(file: Path) -> list[dict[str, Any]]:
    """The models that were timed before; none where there is no file yet.

    Raises:
        UserError: The file is none of these.
    """
    if not file.exists():
        return []
    try:
        found: list[dict[str, Any]] = json.loads(file.read_text())["models"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"--json {file} has no figures to add to: {error}.") from error
    return found


def keep(bodies: Sequence[Mapping[str, Any]], file: Path | None) -> None:
    """Writes the figures so far, where a file was asked for."""
    if file:
        machine = {"cpus": os.cpu_count(), "system": platform.platform()}
        body = {"models": bodies, "versions": versions(), "machine": machine}
        file.write_text(json.dumps(body, indent=2) + "\n")


def compared(run: Mapping[str, Any], arguments: argparse.Namespace) -> dict[str, Any]:
    """One model in all runtimes.

    Raises:
        FrameworkError: The tuned model cannot be run, or ONNX Runtime's profile not be had.
        UserError: The machine has too few cores.
    """
    source = entered(run)
    with ExitStack() as stack:
        contestants, notes = admitted(source, run["folder"] / "model.so", stack)
        options = Comparing(rounds=arguments.rounds, turn_seconds=arguments.seconds)
        times, faults = in_turns(contestants, options, inf)
        if OURS in faults:
            raise FrameworkError(f"{run['folder']}/model.so cannot be timed: {faults[OURS]}")
        notes += [f"{name} is left out of {source.model}: {why}." for name, why in faults.items()]
        reference = next((c for c in contestants if c.name == "PyTorch eager"), contestants[0])
        agreement = {one.name: verdict(one.outputs, reference.outputs) for one in contestants}
        body = figures(times) | {
            "model": source.model,
            "threads": source.threads,
            "cpu": cpu(json.loads(run["identity"]["target"])),
            "reference": reference.name,
            "max_rel_err": {name: found.max_rel_err for name, found in agreement.items()},
            "outputs_agree": all(found.ok for found in agreement.values()),
            "notes": notes,
        }
        if not body["outputs_agree"]:
            notes.append(f"The outputs of {source.model} differ.")
        if arguments.layers and "ONNX Runtime" in times:
            nodes = bench_layers.profiled(source)
            body["layers"] = bench_layers.compared(run["summary"]["tasks"], nodes)
    return body


def entered(run: Mapping[str, Any]) -> Source:
    """The run's model, input and cores.

    Raises:
        UserError: The machine has too few cores.
    """
    identity = run["identity"]
    threads = int(json.loads(identity["target"]).get("num-cores", 1))
    cores = available()[-threads:]  # those the engine times kernels on
    if len(cores) < threads:
        raise UserError(f"{run['folder']} was tuned for {threads} cores; here are {len(cores)}.")
    asked = identity["options"]
    return Source(asked["model"], (), (), asked["seed"], inputs(identity), cores)


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


def admitted(source: Source, library: Path, stack: ExitStack) -> tuple[list[Framework], list[str]]:
    """The runtimes that can run the model, this engine first, and a sentence on each other one."""
    contestants, notes = [], []
    tuned = Library(LLVM, str(library), source.arrays, source.cores)
    for name in RUNTIMES:
        try:
            if name != OURS and find_spec(NEEDED.get(name, "torch")) is None:
                raise FrameworkError("it is not installed; pip install '.[bench]'")
            if name in COMPILING and not shutil.which(os.environ.get("CXX", "g++")):
                raise FrameworkError("it needs a C++ compiler, and there is no g++")
            print(f"{source.model}: {name}", file=sys.stderr, flush=True)
            framework = contestant(name, source, tuned)
        except FrameworkError as error:
            if name == OURS:
                raise FrameworkError(f"{library} cannot be run: {error}") from error
            notes.append(f"{name} is left out of {source.model}: {error}.")
            continue
        stack.callback(framework.close)
        contestants.append(framework)
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
    for package in (*PACKAGES, *MODELS):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found


if __name__ == "__main__":
    main()
