"""Compiles models with torch's backend ``chameleon`` in one process, and says what came of it.

``python -m tests.whole.compiled_graphs [TRIALS]`` prints one line of JSON. Without trials a graph
is loaded from the cache, or computed by torch.
"""

import json
import sys
import time
import warnings
from typing import Any

import torch

Kept = list[warnings.WarningMessage]


class Net(torch.nn.Module):
    """A convolution, and a dense layer after a break of the graph."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = torch.nn.Conv2d(3, 8, 3)
        self.dense = torch.nn.Linear(8, 16)

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        features = torch.relu(self.convolution(image)).mean((2, 3))
        torch._dynamo.graph_break()
        return {"scores": self.dense(features), "image": image}


def main(trials: int | None) -> dict[str, Any]:
    torch.manual_seed(0)
    net, image = Net().eval(), torch.rand(1, 3, 16, 16)
    options: dict[str, Any] = {"engine": "serial", "explorer": "random", "quiet": True}
    options["compare"] = ()  # which takes longer than tuning
    if trials:
        options["trials"] = trials
    compiled = torch.compile(net, backend="chameleon", options=options)
    with torch.no_grad(), warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        began = time.perf_counter()
        found: dict[str, Any] = {"error": error(net, compiled, image)}
        found["seconds"] = time.perf_counter() - began
        found["told"] = texts(told)
        found["other image"] = error(net, compiled, torch.rand(1, 3, 16, 16))
        net.convolution.weight.mul_(2)
        found["other weights"] = error(net, compiled, image)
    with torch.no_grad(), warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        found["in place"] = in_place(torch.zeros(2, 3)), [str(one.message) for one in told]
    with torch.no_grad(), warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        elsewhere = torch.compile(torch.exp, backend="chameleon")(torch.zeros(2, device="meta"))
        found["elsewhere"] = str(elsewhere.device), [str(one.message) for one in told]
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        compiled(image)["scores"].sum().backward()
        found["gradient"] = net.dense.weight.grad is not None
        found["training"] = texts(told)
    return found


def in_place(image: torch.Tensor) -> bool:
    """Whether a graph that changes its input does so when it is compiled, too."""

    def step(image: torch.Tensor) -> torch.Tensor:
        image.add_(1)
        return image.exp()

    outputs = torch.compile(step, backend="chameleon")(image)
    return bool((image == 1).all()) and torch.allclose(outputs, torch.full((2, 3), torch.e))


def error(net: torch.nn.Module, compiled: Any, image: torch.Tensor) -> float:
    expected, outputs = net(image), compiled(image)
    assert outputs["image"] is image
    return float((expected["scores"] - outputs["scores"]).abs().max())


def texts(told: Kept) -> list[str]:
    return [str(one.message) for one in told if "chameleon" in str(one.message)]


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]) if sys.argv[1:] else None)))
