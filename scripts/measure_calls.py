"""Measures calls of a tuned model: their overhead, many threads at once, two threads' throughput.

    python scripts/measure_calls.py RUN [--threads 8] [--calls 10000] [--json FILE]

RUN is a finished run of a model for CPUs. A call of the model and one of TVM's bare virtual machine
with tensors made before are timed in turns; the overhead is the median of their differences. Then
some threads call the one model, each with inputs of its own, and compare every output to the bit
with what one thread alone had computed. At last one thread and two call it in turns, for a second
each time; the ratio of their calls a second is that of neighbouring turns.
"""

import argparse
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from spread import spread

import chameleon_ray

TURNS, SECONDS, ROUNDS = 2000, 8.0, 7
"""Most turns of the overhead, seconds for them, and rounds of the throughput."""


def main() -> None:
    """Measures, prints three lines, and writes what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("run", metavar="RUN", type=Path)
    parser.add_argument("--threads", type=int, default=8, help="that call at once; 8")
    parser.add_argument("--calls", type=int, default=10_000, help="of each thread; 10,000")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    arguments = parser.parse_args()
    model = chameleon_ray.load(arguments.run)
    found: dict[str, Any] = {"overhead_us": overhead(arguments.run, model)}
    print("overhead {median:.1f} ± {spread:.1f} us".format(**found["overhead_us"]), flush=True)
    if arguments.calls:
        found["wrong"] = wrong(model, arguments.threads, arguments.calls)
        calls = arguments.threads * arguments.calls
        print(f"{found['wrong']} of {calls} calls by {arguments.threads} threads wrong", flush=True)
    found["two_threads"] = throughput(model)
    print(
        "two threads make {median:.2f} ± {spread:.2f} times the calls".format(
            **found["two_threads"]
        )
    )
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")


def examples(model: Any, seed: int) -> list[np.ndarray]:
    """Draws inputs of a model."""
    rng = np.random.default_rng(seed)
    return [rng.random(one.shape).astype(one.dtype) for one in model.inputs]


def overhead(run: Path, model: Any) -> dict[str, float]:
    """Microseconds by which a call takes longer than TVM's bare machine with the same library."""
    import torch
    import tvm
    from tvm import relax

    arrays = [torch.from_numpy(one) for one in examples(model, 0)]
    model(*arrays)
    library = tvm.runtime.load_module(str(run / "model.so"))
    machine = relax.VirtualMachine(library, tvm.cpu())["main"]
    tensors = [tvm.runtime.tensor(one.numpy()) for one in arrays]
    calls: list[Callable[[], Any]] = [lambda: model(*arrays), lambda: machine(*tensors)]
    found, end = list[float](), time.perf_counter() + SECONDS
    while len(found) < TURNS and time.perf_counter() < end:
        took = [0.0, 0.0]
        for place in (0, 1) if len(found) % 2 else (1, 0):
            began = time.perf_counter()
            calls[place]()
            took[place] = time.perf_counter() - began
        found.append(1e6 * (took[0] - took[1]))
    return spread(found)


def wrong(model: Any, threads: int, calls: int) -> int:
    """Returns how many calls of many threads gave something else than one thread alone."""
    inputs = [examples(model, number) for number in range(threads)]
    expected = [digest(model(*one)) for one in inputs]
    found: list[int] = []

    def work(number: int) -> None:
        count = 0
        for _ in range(calls):
            count += digest(model(*inputs[number])) != expected[number]
        found.append(count)

    run_all(work, threads)
    return sum(found)


def digest(outputs: Any) -> bytes:
    """Returns all bytes of a call's outputs."""
    listed = outputs if isinstance(outputs, tuple) else (outputs,)
    return b"".join(one.tobytes() for one in listed)


def throughput(model: Any) -> dict[str, float]:
    """Calls a second of two threads, over those of one."""
    inputs, found = [examples(model, number) for number in range(2)], list[float]()

    def count(threads: int) -> float:
        made, end = [0] * threads, time.perf_counter() + 1

        def work(number: int) -> None:
            while time.perf_counter() < end:
                model(*inputs[number])
                made[number] += 1

        began = time.perf_counter()
        run_all(work, threads)
        return sum(made) / (time.perf_counter() - began)

    count(2)
    for _ in range(ROUNDS):
        one = count(1)
        found.append(count(2) / one)
    return spread(found)


def run_all(work: Callable[[int], None], count: int) -> None:
    """Calls a function with each thread's number, in so many threads, to their ends."""
    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
