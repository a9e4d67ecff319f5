"""Puts the layers of a tuned network beside those in ONNX Runtime's profile of the network.

Layers are told apart by what they compute: sizes of input and output, and the kernel of a
convolution. ONNX Runtime, as this engine, has additions and activations done by the convolution
before them. What is no convolution or matrix product is one layer, "the rest"; with ONNX Runtime
that includes the changes of layout between its kernels.
"""

import json
import multiprocessing
import os
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from chameleon_ray.compiler.frontend.frameworks.source import Source
from chameleon_ray.measure.frameworks import FrameworkError

Layer = tuple[tuple[int, ...], ...]
"""Input and output, channels last, and a convolution's kernel; features of a matrix product."""
Layers = dict[Layer, tuple[int, float]]
"""How often each occurs, and the ms of all its occurrences."""
REST: Layer = ()
BLOCKS = (8, 16)
"""To multiples of these ONNX Runtime pads channels, by vector length."""
EXECUTIONS = 40
"""Of the profiled model; a node's time is the median."""
ENDING = "_kernel_time"
"""Of the names of a profile's events that are nodes."""


def compared(tasks: Sequence[Mapping], events: Iterable[Mapping]) -> list[dict[str, Any]]:
    """A row per layer, in the model's order, and one for the sum.

    Args:
        tasks: Of a run's summary.
        events: Of ONNX Runtime's profile.

    Raises:
        FrameworkError: The summary was written by a version that does not tell the shapes.
    """
    ours = of_tasks(tasks)
    theirs = of_profile(events, unpadded(ours))
    layers = [layer for layer in (*ours, *theirs) if layer != REST]
    rows = [row(named(one), ours.get(one), theirs.get(one)) for one in dict.fromkeys(layers)]
    rows.append(row("the rest", ours.get(REST), theirs.get(REST)))
    return [*rows, row("sum", total(ours), total(theirs))]


def unpadded(layers: Collection[Layer]) -> dict[Layer, Layer]:
    """These layers by what they may be called once channels are padded."""
    found = {layer: layer for layer in layers}
    for block in BLOCKS:
        for layer in layers:
            if len(layer) == 3:
                *sizes, kernel = layer
                padded = ((*size[:-1], -(-size[-1] // block) * block) for size in sizes)
                found.setdefault((*padded, kernel), layer)
    return found


def named(layer: Layer) -> str:
    """A layer for people."""
    first, last, *kernel = ("x".join(map(str, sizes)) for sizes in layer)
    return ", ".join([f"{first} -> {last}", *kernel])


def row(
    name: str, ours: tuple[int, float] | None, theirs: tuple[int, float] | None
) -> dict[str, Any]:
    """One layer; None for the side that does not have it."""
    return {
        "layer": name,
        "count": None if ours is None else ours[0],
        "their_count": None if theirs is None else theirs[0],
        "ms": None if ours is None else ours[1],
        "their_ms": None if theirs is None else theirs[1],
        "ratio": ours[1] / theirs[1] if ours and theirs and theirs[1] else None,
    }


def total(layers: Layers) -> tuple[int, float]:
    return sum(count for count, _ in layers.values()), sum(ms for _, ms in layers.values())


def of_tasks(tasks: Sequence[Mapping]) -> Layers:
    """The tuned layers; one that was never timed counts as nothing.

    Raises:
        FrameworkError: As ``compared``.
    """
    found: Layers = {}
    for task in tasks:
        if "shape" not in task:
            raise FrameworkError("the run's summary tells no shapes; tune the model again")
        count, ms = found.get(layer := layer_of_task(task), (0, 0.0))
        weight = task["weight"]
        found[layer] = count + weight, ms + weight * (task["best_ms"] or 0.0)
    return found


def layer_of_task(task: Mapping) -> Layer:
    """What a task computes, by its operators and the shapes of its buffers, the output's last."""
    shapes = [tuple(map(int, text.split("x"))) for text in task["shape"].split(", ")]
    first, weights, last = shapes[0], shapes[1], shapes[-1]
    if "winograd" in task["name"]:
        return first[1:], last[1:], (3, 3)
    if "conv2d" in task["name"]:
        return first[1:], last[1:], weights[1:3] if len(weights) == 5 else weights[:2]
    return (first[-1:], last[-1:]) if "matmul" in task["name"] else REST


def of_profile(events: Iterable[Mapping], known: Mapping[Layer, Layer]) -> Layers:
    """ONNX Runtime's nodes, each with its median time, under the names that are ``known``."""
    times: dict[tuple[str, Layer], list[float]] = defaultdict(list)
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith(ENDING):
            layer = layer_of_node(event["args"])
            times[event["name"], known.get(layer, layer)].append(event["dur"] / 1e3)
    found: Layers = {}
    for (_, layer), some in times.items():
        count, ms = found.get(layer, (0, 0.0))
        found[layer] = count + 1, ms + median(some)
    return found


def layer_of_node(arguments: Mapping) -> Layer:
    """What a node computes, by its operator and the shapes of its inputs and outputs."""
    operator = arguments.get("op_name", "")
    inputs, outputs = (
        [tuple(shape) for entry in arguments.get(key, ()) for shape in entry.values()]
        for key in ("input_type_shape", "output_type_shape")
    )
    if operator.endswith("Conv"):
        first, weights, last = inputs[0], inputs[1], outputs[0]
        return (*first[2:], first[1]), (*last[2:], last[1]), weights[2:4]
    if operator.endswith(("Gemm", "MatMul")):
        return inputs[0][-1:], outputs[0][-1:]
    return REST


def profiled(source: Source) -> list[dict]:
    """ONNX Runtime's own profile of some executions, made in a process of its own.

    Raises:
        FrameworkError: It cannot be had.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_profile, args=(source, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        events: list[dict] = json.loads(ours.recv())
    except EOFError:
        raise FrameworkError("ONNX Runtime gave no profile") from None
    finally:
        process.join()
    return events


def _profile(source: Source, pipe: Connection) -> None:
    from chameleon_ray.compiler.frontend.frameworks.exported import exported
    from chameleon_ray.compiler.frontend.frameworks.onnx_runtime import fed, session

    os.sched_setaffinity(0, source.cores)
    with TemporaryDirectory() as folder:
        path = exported(source, Path(folder, "model.onnx"))
        made = session(path, source, Path(folder, "profile"))
        feed = fed([one.name for one in made.get_inputs()], source)
        for _ in range(EXECUTIONS):
            made.run(None, feed)
        with open(made.end_profiling()) as file:
            pipe.send(file.read())


TITLES = ("layer", "times", "this engine, ms", "ONNX Runtime, ms", "ratio")


def table(rows: Sequence[Mapping]) -> str:
    """The rows as Markdown."""
    lines = [TITLES, ("---", *["---:"] * (len(TITLES) - 1))]
    for one in rows:
        counts = dict.fromkeys(str(one[k]) for k in ("count", "their_count") if one[k] is not None)
        numbers = [one[key] for key in ("ms", "their_ms", "ratio")]
        cells = [
            f"{n:.{d}f}" if n is not None else "-" for n, d in zip(numbers, (3, 3, 2), strict=True)
        ]
        lines.append((one["layer"], " / ".join(counts), *cells))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
