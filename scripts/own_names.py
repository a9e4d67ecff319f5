"""How much of models' time is in layers that carry their user's own names.

    PYTHONPATH=scripts python scripts/own_names.py [MODEL ...]

A layer carries such a name where the first one of its occurrences is that of a module of torch, of
an operation that torch's exported program has outside of all modules inside the model, or of a node
or value of the ONNX file. Nothing is tuned or timed: a layer's time is the longer one of
its operations at 100 GFLOP/s and its inputs and outputs at 10 GB/s, of direct convolutions. The
exit status is 1 where a model has less than 95 % of its time in such layers.
"""

import argparse
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import onnx

from chameleon_ray.api.model_process import ModelProcess
from chameleon_ray.compiler.frontend import irregular, zoo
from chameleon_ray.compiler.kinds import LLVM
from chameleon_ray.measure.cores import available
from chameleon_ray.options import Request
from chameleon_ray.task import Task

FLOPS, BYTES, LEAST = 1e11, 1e10, 0.95
LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
"""ONNX files that come with the package onnx."""
FILES = ("light_resnet50", "light_shufflenet")
FACTORIES = ("encoder", "segmenter", "recurrent")


def encoder() -> Any:
    """Two layers of a transformer's encoder."""
    import torch
    from torch import nn

    layer = nn.TransformerEncoderLayer(128, 4, 256, batch_first=True)
    return nn.TransformerEncoder(layer, 2), (torch.randn(1, 32, 128),)


def segmenter() -> Any:
    """A network that reduces a picture and enlarges it again."""
    import torch
    from torch import nn

    down = nn.Sequential(nn.Conv2d(3, 32, 3, 2, 1), nn.BatchNorm2d(32), nn.ReLU())
    up = nn.Sequential(nn.ConvTranspose2d(32, 16, 2, 2), nn.ReLU(), nn.Conv2d(16, 5, 1))
    modules = {"down": down, "up": up, "soft": nn.Softmax(1)}
    whole = nn.Sequential()
    for name, module in modules.items():
        whole.add_module(name, module)
    return whole, (torch.randn(1, 3, 64, 64),)


def recurrent() -> Any:
    """A tagger of sentences: a recurrent layer, and one that reads it."""
    import torch
    from torch import nn

    class Tagger(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gru, self.tags = nn.GRU(64, 64, batch_first=True), nn.Linear(64, 9)

        def forward(self, words: torch.Tensor) -> torch.Tensor:
            return self.tags(self.gru(words)[0])

    return Tagger(), (torch.randn(1, 12, 64),)


def names_in(model: str) -> set[str]:
    """Returns the names that a model's own modules, operations, nodes and values have."""
    import torch

    if model.endswith(".onnx"):
        graph = onnx.load(model, load_external_data=False).graph
        return {node.name for node in graph.node} | {v for node in graph.node for v in node.output}
    if ":" in model and irregular.find(model) is None:
        module, inputs = globals()[model.rpartition(":")[2]]()
    else:
        module = zoo.build(model, 0)
        inputs = tuple(torch.zeros(shape) for shape in (zoo.inputs(model) or {}).values())
    program = torch.export.export(module.eval(), inputs)
    return {name for name, _ in module.named_modules()} | {n.name for n in program.graph.nodes}


def named(task: Task, names: set[str]) -> bool:
    """Whether the name under which people see a layer is one of the model's own."""
    return next((name for name in task.nodes if name), "") in names - {""}


def share(tasks: Sequence[Task], names: set[str]) -> tuple[float, list[str]]:
    """Returns the share of time in layers with own names, and what the others are."""
    first = [task for task in tasks if not task.instead]
    seconds = [t.weight * max(t.flop / FLOPS, t.traffic / BYTES) for t in first]
    pairs = list(zip(first, seconds, strict=True))
    own = sum(spent for task, spent in pairs if named(task, names))
    return own / (sum(seconds) or 1.0), [task.name for task in first if not named(task, names)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    files = [str(LIGHT / f"{name}.onnx") for name in FILES]
    known = [*zoo.ZOO, *irregular.NETWORKS, "randwire:0", *files]
    known += [f"own_names:{name}" for name in FACTORIES]
    parser.add_argument("models", nargs="*", default=known)
    least = 1.0
    with ExitStack() as stack:
        process = ModelProcess(LLVM, available()[-1:], stack)
        for model in parser.parse_args().models:
            tasks = process.prepare(Request(model)).tasks
            process.clear()
            found, others = share(tasks, names_in(model))
            least = min(least, found)
            told = f"; not named: {', '.join(others)}" if others else ""
            print(f"{found:7.1%} of {Path(model).name}{told}", flush=True)
    sys.exit(least < LEAST)


if __name__ == "__main__":
    main()
