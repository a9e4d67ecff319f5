"""Networks without a natural order: torch modules of a wiring, with weights that are not set."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chameleon_ray.graph import darts, randwire, swiftnet
from chameleon_ray.graph.wiring import Op

if TYPE_CHECKING:
    from torch import Tensor, nn

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Irregular:
    """A network.

    Attributes:
        build: Makes the module.
        inputs: Shapes by name, NCHW, in order.
    """

    build: Callable[[], nn.Module]
    inputs: Mapping[str, Shape]


def find(name: str) -> Irregular | None:
    """Returns the network of a name, such as ``randwire:SEED``; None where there is none."""
    kind, _, seed = name.partition(":")
    if kind == "randwire" and seed.isdecimal():
        ops = randwire.stage(int(seed))
        shape = (1, randwire.CHANNELS, 2 * randwire.SIDE, 2 * randwire.SIDE)
        return Irregular(lambda: wired(ops, {"input": shape}), {"input": shape})
    return NETWORKS.get(name)


def wired(ops: Sequence[Op], inputs: Mapping[str, Shape]) -> nn.Module:
    """Makes a module of a wiring of convolutions (1 x 1, depthwise, separable), sums and the like.

    Args:
        ops: Operations in the order in which the module runs them.
        inputs: Shapes of what the wiring reads and does not compute; the module's arguments.
    """
    import torch
    from torch import nn

    outputs: dict[str, Shape] = {op.name: (op.channels, op.side) for op in ops}
    outputs |= {name: shape[1:3] for name, shape in inputs.items()}

    class Wired(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            for op in ops:
                self.add_module(_path(op), layer(op, *_read(op, outputs)))

        def forward(self, *features: Tensor) -> Tensor:
            values = dict(zip(inputs, features, strict=True))
            for op, operation in zip(ops, self.children(), strict=True):
                reads = [values[name] for name in op.reads]
                sums = op.kind in ("add", "separable")
                value = sum(reads[1:], reads[0]) if sums else torch.cat(reads, 1)
                values[op.name] = operation(value if len(reads) > 1 else reads[0])
            return values[ops[-1].name]

    return Wired()


def _path(op: Op) -> str:
    """Returns the name of an operation's module, which must not have dots."""
    return op.name.replace(".", "_")


def layer(op: Op, channels: int, stride: int) -> nn.Module:
    """Makes the module of one operation, for an input of ``channels`` channels."""
    from torch import nn

    def conv(outputs: int, kernel: int, groups: int = 1, dilation: int = 1) -> nn.Module:
        step = stride if kernel > 1 else 1
        padding = dilation * (kernel // 2)
        shape = {"padding": padding, "dilation": dilation, "groups": groups, "bias": False}
        return nn.Conv2d(channels, outputs, kernel, step, **shape)  # type: ignore[arg-type]

    depthwise = conv(channels, 3, channels)
    layers: dict[str, Callable[[], list[nn.Module]]] = {
        "add": list,
        "concat": list,
        "pool": lambda: [nn.MaxPool2d(2)],
        "conv": lambda: [conv(op.channels, 1), nn.BatchNorm2d(op.channels), nn.ReLU()],
        "linear": lambda: [conv(op.channels, 1), nn.BatchNorm2d(op.channels)],
        "relu-conv": lambda: [nn.ReLU(), conv(op.channels, 1), nn.BatchNorm2d(op.channels)],
        "depthwise": lambda: [depthwise, nn.BatchNorm2d(channels), nn.ReLU()],
        "relu-depthwise": lambda: [nn.ReLU(), depthwise],
        "relu-dilated": lambda: [nn.ReLU(), conv(channels, 3, channels, dilation=2)],
        "separable": lambda: [
            *(nn.ReLU(), depthwise, conv(op.channels, 1), nn.BatchNorm2d(op.channels))
        ],
    }
    return nn.Sequential(*layers[op.kind]())


def _read(op: Op, outputs: Mapping[str, Shape]) -> tuple[int, int]:
    """Returns the channels of an operation's input, and the stride that leads to its own size."""
    channels = [outputs[name][0] for name in op.reads]
    stride = outputs[op.reads[0]][1] // op.side
    return (channels[0] if op.kind in ("add", "separable") else sum(channels)), stride


def _swiftnet() -> nn.Module:
    """Makes the whole network, with its stem and its classifier of two classes."""
    from torch import nn

    stem = [
        *(nn.Conv2d(3, 16, 7, 4, 3, bias=False), nn.BatchNorm2d(16), nn.ReLU()),
        *(nn.Conv2d(16, 16, 3, 1, 1, groups=16, bias=False), nn.BatchNorm2d(16), nn.ReLU()),
        *(nn.Conv2d(16, 32, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU()),
    ]
    body = wired(swiftnet.cells(), _before(32, 28))
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(76, 2)]
    parts = {"stem": nn.Sequential(*stem), "cells": body, "head": nn.Sequential(*head)}
    return nn.Sequential(OrderedDict(parts))


def _before(channels: int, side: int) -> dict[str, Shape]:
    """Returns the input shape of a cell that begins with a pooling."""
    return {"input": (1, channels, 2 * side, 2 * side)}


def _cell(name: str) -> Irregular:
    shape = _before(swiftnet.CELLS[name].inputs, swiftnet.CELLS[name].side)
    return Irregular(lambda: wired(swiftnet.cell(name), shape), shape)


DARTS = dict.fromkeys(("before", "last"), (1, 4 * darts.CHANNELS, darts.SIDE, darts.SIDE))

NETWORKS: dict[str, Irregular] = {
    "darts-cell": Irregular(lambda: wired(darts.cell(), DARTS), DARTS),
    "darts-cells": Irregular(lambda: wired(darts.cells(), DARTS), DARTS),
    **{f"swiftnet-{name}": _cell(name) for name in swiftnet.CELLS},
    "swiftnet": Irregular(_swiftnet, {"input": (1, 3, 224, 224)}),
}
