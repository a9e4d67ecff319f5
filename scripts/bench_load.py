"""Tunes a model beside busy processes and on a machine of its own, and times both libraries.

    python scripts/bench_load.py [--busy 4] [--trials 150] --out DIR [STEPS ...]

The model is MLPerf Tiny's ResNet-8 for pictures of 32x32 (Banbury et al., NeurIPS 2021). Steps are
``loaded``, ``calm`` and ``timed``: the first two tune, the third times both libraries in turns,
which wants a machine without other load. The last line has how much slower the library is that was
tuned beside the load, and what its summary says of disturbed timings. The exit status is 1 where it
is more than 10 % slower and the summary says nothing.
"""

import argparse
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn

ROOT = Path(__file__).parents[1]
STEPS = ("loaded", "calm", "timed")
MOST = 0.1


class Block(nn.Module):
    """Two convolutions, and a way around them."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        stride = outputs // inputs
        self.first = nn.Conv2d(inputs, outputs, 3, stride, 1)
        self.second = nn.Conv2d(outputs, outputs, 3, 1, 1)
        self.around = nn.Conv2d(inputs, outputs, 1, stride) if stride > 1 else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Adds both ways."""
        return torch.relu(self.second(torch.relu(self.first(x))) + self.around(x))


def resnet_8() -> tuple[nn.Module, tuple[torch.Tensor]]:
    """Makes the model, its norms folded into the convolutions."""
    blocks = [Block(16, 16), Block(16, 32), Block(32, 64)]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)]
    model = nn.Sequential(nn.Conv2d(3, 16, 3, 1, 1), nn.ReLU(), *blocks, *head)
    return model.eval(), (torch.rand(1, 3, 32, 32),)


@contextmanager
def load(count: int) -> Iterator[None]:
    """Keeps so many processes busy."""
    busy = [
        subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"]) for _ in range(count)
    ]
    try:
        yield
    finally:
        for one in busy:
            one.kill()
            one.wait()


def chameleon(*words: str) -> str:
    """Runs a command to its end; returns what it prints.

    Raises:
        subprocess.CalledProcessError: It failed.
    """
    command = [sys.executable, "-m", "chameleon_ray", *words]
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    environment = {**os.environ, "PYTHONPATH": paths, "CHAMELEON_STORE": "none"}
    return subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, text=True, check=True
    ).stdout


def main() -> int:
    """Makes the steps that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--busy", type=int, default=4, help="processes beside the first tuning")
    parser.add_argument("--trials", type=int, default=150)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("steps", nargs="*", choices=[*STEPS, []], default=[])
    args = parser.parse_args()
    args.steps = args.steps or list(STEPS)
    args.out.mkdir(parents=True, exist_ok=True)
    loaded, calm = args.out / "loaded", args.out / "calm"
    words = ("tune", "scripts.bench_load:resnet_8", "--trials", str(args.trials), "--no-compare")
    if "loaded" in args.steps:
        with load(args.busy):
            loaded.with_suffix(".txt").write_text(chameleon(*words, "--out", str(loaded)))
    if "calm" in args.steps:
        calm.with_suffix(".txt").write_text(chameleon(*words, "--out", str(calm)))
    if "timed" not in args.steps:
        return 0
    limit = ("--fail-if-slower", "99%", "--json")
    found = json.loads(chameleon("check", str(loaded), "--baseline", str(calm), *limit))
    told = re.search(r"Disturbed: [^;]*", loaded.with_suffix(".txt").read_text())
    disturbed = " ".join(told[0].split()) if told else ""
    print(f"{100 * found['slower_by']:+.1f} % slower in {found['pairs']} pairs. {disturbed}")
    return 1 if found["slower_by"] > MOST and not disturbed else 0


if __name__ == "__main__":
    sys.exit(main())
