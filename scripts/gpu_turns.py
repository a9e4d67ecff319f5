"""The parts of ``gpu_check.py`` that time models: one clock, and in turns what is compared."""

import time
from collections.abc import Iterator
from typing import Any

import gpu_clock
import numpy as np
from gpu_contestants import Library, Torch
from gpu_parts import Given
from gpu_zoo import factory, made

from chameleon_ray.compiler.runtime.tolerance import ACCUMULATION, TOLERANCE
from chameleon_ray.measure.isolate import Ending, Isolate, Outcome, Setting

SAMPLE = 0.3
"""Seconds of one contestant's turn."""
PATIENCE = 60.0
"""Most seconds until a contestant is ready; PyTorch's compiler takes most of them."""
MODES = ("eager", "graph", "graph channels-last", "reduce-overhead")
LIBRARIES = {
    "chameleon": "chameleon/model.so",
    "untuned": "chameleon/untuned.so",
    "metaschedule": "metaschedule/model.so",
}
"""What the tuning of a model leaves in its folder."""
GRAPHS = b"vm.builtin.cuda_graph"
"""What a library contains that launches its kernels as graphs by itself."""


DTYPES = {"bert": "float16", "tf32": "float16"}
"""Types whose tolerance holds for the outputs of a model, where its name is no type."""


class Child:
    """A contestant's process."""

    def __init__(self, which: Library | Torch) -> None:
        handler = "torch_model" if isinstance(which, Torch) else "library"
        self._child = Isolate(Setting(f"gpu_contestants:{handler}", which))
        self.samples: list[gpu_clock.Sample] = []

    def outputs(self, seconds: float) -> Outcome:
        """Prepares the contestant, and runs it once."""
        return self._child.call(None, seconds)

    def turn(self, seconds: float) -> str:
        """Takes one sample; why there is none, or nothing."""
        outcome = self._child.call(seconds, 10 * seconds + PATIENCE)
        if outcome.ending is Ending.OK:
            self.samples.append(outcome.value)
        return outcome.error

    def close(self) -> None:
        self._child.close()


def turns(given: Given) -> None:
    """Times all that there is of one model in turns: with CUDA graphs and without."""
    end = time.monotonic() + given.seconds
    children: dict[str, Child] = {}
    try:
        reference = None
        dtype = DTYPES.get(given.argument, given.argument)
        for name, which in contestants(given):
            left = max(end - time.monotonic(), 1.0)
            child = children[name] = Child(which)
            outcome = child.outputs(min(PATIENCE, left))
            entry = given.report.fields.setdefault(name, {})
            if outcome.ending is not Ending.OK:
                entry["error"] = outcome.error[:300]
                children.pop(name).close()
            else:
                reference = outcome.value if reference is None else reference
                entry["max_rel_err"] = error = apart(outcome.value, reference)
                entry["right"] = error <= ACCUMULATION * TOLERANCE[dtype]
            given.report.write()
        rounds(given, children, end)
    finally:
        for child in children.values():
            child.close()


def rounds(given: Given, children: dict[str, Child], end: float) -> None:
    """One sample of each contestant after the other, until the time is up."""
    first = True
    while children and (first or time.monotonic() < end):
        first = False
        for name, child in list(children.items()):
            trouble = child.turn(SAMPLE)
            if trouble:
                given.report.fields[name]["error"] = trouble[:300]
                children.pop(name).close()
            else:
                given.report.fields[name].update(gpu_clock.summary(child.samples))
        given.report.write()


def contestants(given: Given) -> Iterator[tuple[str, Library | Torch]]:
    """What there is to time of one model, the tuned one first."""
    name = factory(given.argument, given.small)
    arrays = (made(name)[1].numpy(),)
    for library, path in LIBRARIES.items():
        file = given.out / given.argument / path
        for graph in (False, True) if file.exists() else ():
            if not (graph and GRAPHS in file.read_bytes()):
                yield f"{library}{' graph' * graph}", Library(str(file), arrays, graph)
    missing = no_cuda()
    if missing:
        given.report.fields["torch"] = {"missing": missing}
        return
    for mode in MODES[: -2 if "bert" in name else None]:
        yield f"torch {mode}", Torch(name, mode, given.argument == "tf32")


def no_cuda() -> str:
    """Why PyTorch cannot be timed; empty where it can."""
    try:
        import torch
    except ImportError:
        return "PyTorch is not installed, so it was not timed"
    if not torch.cuda.is_available():
        return f"PyTorch {torch.__version__} has no CUDA here, so it was not timed"
    return ""


def apart(outputs: np.ndarray, reference: np.ndarray) -> float:
    """The largest error over the largest magnitude."""
    ours, theirs = outputs.astype("f8").ravel(), reference.astype("f8").ravel()
    if ours.shape != theirs.shape:
        return float("inf")
    return float(np.abs(ours - theirs).max() / max(np.abs(theirs).max(), 1e-30))


def one(which: Library | Torch, prepare: float, seconds: float) -> dict[str, Any]:
    """One contestant alone: its times, or what went wrong."""
    child = Child(which)
    try:
        outcome = child.outputs(prepare)
        trouble = outcome.error or child.turn(seconds)
        return {"error": trouble[:300]} if trouble else gpu_clock.summary(child.samples)
    finally:
        child.close()
