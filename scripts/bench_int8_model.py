"""Times a model tuned in 8-bit integers beside float32, and ONNX Runtime beside both, in turns.

    python scripts/bench_int8_model.py make FOLDER
    chameleon tune FOLDER/float32.onnx --threads 1 --out FLOAT_RUN
    chameleon tune FOLDER/per_tensor.onnx --threads 1 --out INT8_RUN
    python scripts/bench_int8_model.py time FLOAT_RUN INT8_RUN... [--json FILE]

``make`` writes ResNet-18 with random weights as ONNX files: in float32, and quantised to 8 bits by
ONNX Runtime's ``quantize_static`` with QDQ nodes, with one scale per tensor, and with one for each
output channel of weights. ``time`` takes the runs that ``chameleon tune`` made of such files. Every
file is also run by ONNX Runtime with all of its optimisations. All take turns on one core, each in
a process of its own.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
from bench_contestants import contestant
from spread import spread

from chameleon_ray.compiler.frontend.frameworks.source import Source
from chameleon_ray.compiler.kinds.llvm import LLVM
from chameleon_ray.compiler.runtime.compared_library import Library
from chameleon_ray.compiler.runtime.layer_inputs import random_array
from chameleon_ray.measure.cores import available
from chameleon_ray.measure.frameworks import in_turns
from chameleon_ray.options import Comparing

NETWORK = "resnet-18"
SHAPE = (1, 3, 224, 224)
CALIBRATIONS = 8
"""Random pictures from which scales are estimated."""
SIDES = {"ours": "this engine", "onnxruntime": "ONNX Runtime"}


def main() -> None:
    """Makes the files, or times the runs."""
    arguments = parse()
    if arguments.command == "make":
        make(arguments.folder)
        return
    body = timed(arguments.runs, arguments.rounds, arguments.seconds)
    if arguments.json:
        arguments.json.write_text(json.dumps(body, indent=2) + "\n")
    first = next(iter(body))
    print(f"| side | ms | spread | over {first} |\n|---|---:|---:|---:|")
    for name, figures in body.items():
        ms, ratio = figures["latency_ms"], figures["ratio"]
        print(f"| {name} | {ms['median']:.2f} | {ms['spread']:.2f} | {ratio['median']:.2f} |")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("make").add_argument("folder", type=Path)
    time = commands.add_parser("time")
    time.add_argument("runs", metavar="RUN_DIR", nargs="+", type=Path, help="of chameleon tune")
    time.add_argument("--rounds", type=int, default=15, help="in each, all have their turn")
    time.add_argument("--seconds", type=float, default=0.5, help="of one turn")
    time.add_argument("--json", type=Path, help="where to write the figures")
    return parser.parse_args()


def make(folder: Path) -> None:
    """Writes the three files."""
    import torch
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    from chameleon_ray.compiler.frontend import zoo

    folder.mkdir(parents=True, exist_ok=True)
    plain = folder / "float32.onnx"
    example = (torch.zeros(SHAPE),)
    torch.onnx.export(
        zoo.build(NETWORK, 0), example, plain, dynamo=False, input_names=["x"], output_names=["y"]
    )
    for name, per_channel in (("per_tensor", False), ("per_channel", True)):
        quantize_static(
            plain,
            folder / f"{name}.onnx",
            _Pictures(),
            quant_format=QuantFormat.QDQ,
            per_channel=per_channel,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )


class _Pictures:
    """Random pictures, as ONNX Runtime reads them."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self._rest: Iterator[np.ndarray] = iter(
            [rng.standard_normal(SHAPE).astype("float32") for _ in range(CALIBRATIONS)]
        )

    def get_next(self) -> dict[str, np.ndarray] | None:
        picture = next(self._rest, None)
        return None if picture is None else {"x": picture}


def timed(runs: list[Path], rounds: int, seconds: float) -> dict[str, Any]:
    """Returns, by side, latencies in ms and the ratio to the first side's, round by round."""
    with ExitStack() as stack:
        sides = []
        for folder in runs:
            source, tuned = entry_of(folder)
            for side, runtime in SIDES.items():
                name = f"{side} {folder.name}"
                print(name, file=sys.stderr, flush=True)
                sides.append(contestant(runtime, source, tuned))
                sides[-1].name = name
                stack.callback(sides[-1].close)
        times, faults = in_turns(sides, Comparing(rounds=rounds, turn_seconds=seconds), inf)
    if faults:
        raise SystemExit(f"Error: {faults}")
    first = next(iter(times.values()))
    return {
        name: {
            "latency_ms": spread([1e3 * one for one in some]),
            "ratio": spread([one / other for one, other in zip(some, first, strict=True)]),
        }
        for name, some in times.items()
    }


def entry_of(folder: Path) -> tuple[Source, Library]:
    """Returns what is timed of a run: the file that it was made of, and its library."""
    identity = json.loads((folder / "run.json").read_text())
    options, rng = identity["options"], np.random.default_rng(0)
    arrays = tuple(random_array(rng, tuple(shape), kind) for shape, kind in identity["inputs"])
    cores = available()[-1:]
    source = Source(options["model"], (), (), options["seed"], arrays, cores)
    return source, Library(LLVM, str(folder / "model.so"), arrays, cores)


if __name__ == "__main__":
    main()
