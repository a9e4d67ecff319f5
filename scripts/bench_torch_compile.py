"""Compares ``torch.compile(backend="chameleon")`` with the library that ``chameleon tune`` makes.

    python scripts/bench_torch_compile.py [NAME ...] --work DIR [--minutes 6] [--json FILE]

Each model is tuned once, with a store in DIR, unless DIR has the run already. A first process then
compiles it with torch's backend, an empty cache and that store, without a budget: what the store
knows is not measured again. A second process finds the library in the cache. It says how long it
took beyond its imports and the model's making until there was a result, and whether torch compiled
anything at the second call. It times the compiled module and the run's bare ``model.so`` in turns,
and prints the ratio of the pairs, its median and interquartile range.

NAMES are those of ``served_models`` and ``resnet_18``, the zoo's. DeiT and BERT need timm and
transformers.
"""

import argparse
import importlib
import json
import os
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

from spread import spread

NAMES = ("resnet_18", "deit_tiny", "bert_64")
SECONDS, LEAST = 10.0, 20
"""Seconds of timing in turns, and least number of turns."""
TOLERANCE = 1e-4
"""Largest relative error of outputs, by their largest value."""


def main() -> None:
    """Tunes, compiles and times; prints a line per model."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("names", metavar="NAME", nargs="*", default=NAMES)
    parser.add_argument("--work", type=Path, required=True, help="where runs, store and cache are")
    parser.add_argument("--minutes", type=float, default=6.0, help="of tuning a model; 6")
    parser.add_argument("--only", choices=STEPS, help="one step, in this process")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    arguments = parser.parse_args()
    work = arguments.work.resolve()
    if arguments.only:
        (name,) = arguments.names
        print(json.dumps(STEPS[arguments.only](name, work, arguments.minutes)))
        return
    found: dict[str, Any] = {}
    for name in arguments.names:
        for step in STEPS:
            if step != "tune" or not (work / name / "summary.json").exists():
                found.setdefault(name, {})[step] = child(name, step, work, arguments.minutes)
        print(told(name, **found[name]), flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")


def child(name: str, step: str, work: Path, minutes: float) -> dict[str, Any]:
    """Does one step in a process of its own; returns what it printed last.

    Raises:
        SystemExit: It failed.
    """
    command = [sys.executable, __file__, name, "--work", str(work), "--minutes", str(minutes)]
    environment = {**os.environ, "XDG_CACHE_HOME": str(work / "cache")}
    done = subprocess.run(
        [*command, "--only", step], stdout=subprocess.PIPE, text=True, env=environment
    )
    if done.returncode:
        raise SystemExit(f"Error: the step {step} of {name} failed.")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def made(name: str) -> tuple[Any, tuple[Any, ...]]:
    """Returns a module with example inputs, the same in each process."""
    import torch

    torch.manual_seed(0)
    if name == "resnet_18":
        from chameleon_ray.compiler.frontend.zoo import IMAGE, resnet_18

        return resnet_18().eval(), (torch.randn(IMAGE),)
    net, inputs = getattr(importlib.import_module("served_models"), name)()
    return net.eval(), inputs


def tune(name: str, work: Path, minutes: float) -> dict[str, Any]:
    """Tunes a model for one thread, with the store."""
    import chameleon_ray

    net, inputs = made(name)
    tuned = chameleon_ray.tune(
        *(net, inputs),
        minutes=minutes,
        threads=1,
        store=str(work / "store"),
        out=work / name,
        compare=(),
    )
    return {"seconds": tuned.seconds}


def first(name: str, work: Path, minutes: float) -> dict[str, Any]:
    """Compiles a model that the cache does not have."""
    return started(name, work)[-1]


def second(name: str, work: Path, minutes: float) -> dict[str, Any]:
    """Finds the compiled model in the cache, and times it in turns with the run's library."""
    import torch
    import tvm
    import tvm_ffi
    from tvm import relax

    import chameleon_ray

    compiled, net, inputs, found = started(name, work)
    found["graphs"] = graphs()
    with torch.no_grad(), torch._dynamo.config.patch(error_on_recompile=True):
        compiled(*inputs)
        found["error"] = error(net(*inputs), compiled(*inputs))
        found["error_of_run"] = error(net(*inputs), chameleon_ray.load(work / name)(*inputs))
    found["recompiled"] = graphs() - found["graphs"]
    library = tvm.runtime.load_module(str(work / name / "model.so"))
    run = relax.VirtualMachine(library, tvm.cpu())["main"]
    tensors = [tvm_ffi.from_dlpack(one) for one in inputs]
    with torch.no_grad():
        pairs = timed(lambda: compiled(*inputs), lambda: run(*tensors))
    by_torch, by_run = zip(*pairs, strict=True)
    return found | {
        "compiled_ms": spread([1e3 * one for one in by_torch]),
        "run_ms": spread([1e3 * one for one in by_run]),
        "ratio": spread([one / other for one, other in pairs]),
        "turns": len(pairs),
    }


STEPS = {"tune": tune, "first": first, "second": second}


def started(name: str, work: Path) -> tuple[Any, Any, tuple[Any, ...], dict[str, Any]]:
    """Compiles a module; returns it, the module, its inputs, and how long it took to be ready."""
    import torch

    import chameleon_ray.interface.torch_backend  # noqa: F401  an import that is not counted

    net, inputs = made(name)
    options = {"store": str(work / "store"), "threads": 1}
    with torch.no_grad(), warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        began = time.perf_counter()
        compiled = torch.compile(net, backend="chameleon", options=options)
        outputs = compiled(*inputs)
        seconds = time.perf_counter() - began
        found: dict[str, Any] = {"ready": seconds, "error": error(net(*inputs), outputs)}
    found["told"] = [str(one.message) for one in told if "graph" in str(one.message)]
    return compiled, net, inputs, found


def graphs() -> int:
    """Returns how many graphs torch has compiled in this process."""
    from torch._dynamo.utils import counters

    return int(counters["stats"]["unique_graphs"])


def error(expected: Any, outputs: Any) -> float:
    """Returns the largest error of a tensor, relative to its largest value."""
    return float((expected - outputs).abs().max() / expected.abs().max())


def timed(one: Any, other: Any) -> list[tuple[float, float]]:
    """Times two functions in turns; the one that is first changes with every turn."""
    pairs: list[tuple[float, float]] = []
    for function in (one, other) * 3:
        function()
    end = time.perf_counter() + SECONDS
    while time.perf_counter() < end or len(pairs) < LEAST:
        turned = len(pairs) % 2 == 1
        took = {}
        for function in (other, one) if turned else (one, other):
            began = time.perf_counter()
            function()
            took[function] = time.perf_counter() - began
        pairs.append((took[one], took[other]))
    return pairs


def told(name: str, first: Any, second: Any, tune: Any = None) -> str:
    """Returns the line of a model."""
    right = max(first["error"], second["error"]) < TOLERANCE
    return (
        f"{name}: {'right' if right else 'WRONG'} (error {second['error']:.1e}); ratio to model.so "
        "{median:.3f} ± {spread:.3f}".format(**second["ratio"])
        + f" of {second['turns']} turns ({second['compiled_ms']['median']:.3f} and "
        f"{second['run_ms']['median']:.3f} ms); {second['graphs']} graphs, "
        f"{second['recompiled']} recompiled; ready after {first['ready']:.1f} s at first, "
        f"{second['ready']:.2f} s in a second process"
        + "".join(f"; told: {one}" for one in second["told"])
    )


if __name__ == "__main__":
    main()
