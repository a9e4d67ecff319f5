"""Imports, compiles and compares real torch architectures, with random weights, untuned.

    python scripts/check_models.py [NAME ...] [--out table.md]

It needs torchvision, timm and transformers, and downloads nothing: classes are
built from small configurations. Each architecture runs in a process of its own. The exit status is
1 where one is not verified. docs/reference/models.md lists those that were, with their errors.
"""

import argparse
import math
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from architectures import MODELS

SECONDS = 600
"""Most seconds for one architecture."""


def enliven(module: Any) -> None:
    """Draws weights anew, so that a signal neither dies out nor meets a head of zeros."""
    import torch

    with torch.no_grad():
        for weight in module.parameters():
            if weight.ndim > 1 and weight.is_floating_point():
                weight.normal_(std=math.sqrt(2 / weight[0].numel()))
            elif not weight.any():
                weight.normal_(std=0.1)


def check(package: str, name: str) -> str:
    """Returns a row's end: the outcome, the largest relative error, and the seconds by phase."""
    import numpy as np
    import torch
    import tvm

    from chameleon_ray.compiler.frontend.draws import redrawn
    from chameleon_ray.compiler.frontend.precision import precision_of
    from chameleon_ray.compiler.frontend.torch.arguments import of_examples
    from chameleon_ray.compiler.frontend.torch.torch_module import load_module
    from chameleon_ray.compiler.kinds import LLVM
    from chameleon_ray.compiler.passes.lower import lower
    from chameleon_ray.compiler.runtime.tolerance import ACCUMULATION, difference

    torch.manual_seed(0)
    module, inputs = MODELS[package][name]()
    enliven(module)
    began = time.perf_counter()
    arguments = of_examples(name, inputs)
    draws = redrawn(arguments.arrays(), np.random.default_rng(0), 2)
    model = load_module(name, module.eval(), arguments, draws)
    imported = time.perf_counter()
    target = tvm.target.Target({"kind": "llvm", "num-cores": 1, "opt-level": 0})
    executable = tvm.compile(lower(model.module, target, LLVM), target)
    compiled = time.perf_counter()
    machine = tvm.relax.VirtualMachine(executable, tvm.cpu())
    example = model.examples[-1]
    outputs = machine["main"](*[tvm.runtime.tensor(array) for array in example.inputs])
    outputs = [outputs] if hasattr(outputs, "numpy") else list(outputs)
    found = [one.numpy() for one in outputs]
    precision = precision_of(model.module)
    pairs = zip(found, example.outputs or (), strict=True)
    judged = [difference(*pair, precision, ACCUMULATION) for pair in pairs]
    error, right = max(one.relative for one in judged), all(one.right for one in judged)
    seconds = f"{imported - began:.1f} | {compiled - imported:.1f}"
    return f"{'verified' if right else 'WRONG'} | {error:.0e} | {seconds} |"


def row(package: str, name: str) -> str:
    """Checks an architecture in a process of its own; returns its row of the table."""
    command = [sys.executable, __file__, "--one", package, name]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return f"| {package} | {name} | more than {SECONDS} s | | | |"
    lines = (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines()
    end = lines[-1] if lines else ""
    return f"| {package} | {name} | {end if done.returncode == 0 else f'{end} | | | |'}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="architectures; all where none is given")
    parser.add_argument("--one", nargs=2, metavar=("PACKAGE", "NAME"), help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help="file of the table")
    options = parser.parse_args()
    if options.one:
        print(check(*options.one))
        return
    known = {name for models in MODELS.values() for name in models}
    if not known.issuperset(options.names):
        parser.error(f"the architectures are: {', '.join(sorted(known))}")
    rows = [
        "| package | architecture | outcome | error | import, s | compile, s |",
        "|---|---|---|---|---|---|",
    ]
    for package, models in MODELS.items():
        for name in models:
            if not options.names or name in options.names:
                rows.append(row(package, name))
                print(rows[-1], flush=True)
    if options.out:
        options.out.write_text("\n".join(rows) + "\n")
    if not all("| verified |" in one for one in rows[2:]):
        sys.exit(1)


if __name__ == "__main__":
    main()
