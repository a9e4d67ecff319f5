"""Tunes a module in memory inside a task of a Ray that already runs, and calls the result there.

``python -m tests.ray.inside_a_task OUT`` prints the largest error of the outputs, and what the
driver's Ray still answers after that.
"""

import json
import logging
import sys
from pathlib import Path

import ray
import torch

import chameleon_ray as cr


class Net(torch.nn.Module):
    """A convolution and its activation."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = torch.nn.Conv2d(3, 8, 3, padding=1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.convolution(image))


@ray.remote(num_cpus=0)
def tuned(out: str) -> tuple[float, str, int]:
    """Tunes where a task runs; returns the largest error, the run's directory, and its layers."""
    net, image = Net().eval(), torch.rand(1, 3, 16, 16)
    options = {"explorer": "random", "quiet": True, "compare": ()}
    model = cr.tune(net, image, trials=4, out=out, **options)
    with torch.no_grad():
        return float((model(image) - net(image)).abs().max()), str(model.folder), len(model.layers)


def main(out: Path) -> dict[str, object]:
    ray.init(
        num_cpus=2, include_dashboard=False, logging_level=logging.WARNING, log_to_driver=False
    )
    error, folder, layers = ray.get(tuned.remote(str(out)))
    model = cr.load(folder)  # which the task has left
    return {
        "error": error,
        "layers": layers,
        "loaded": [str(one) for one in model.inputs],
        "Ray goes on": ray.get(ray.remote(num_cpus=1)(lambda: 42).remote()),
    }


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
