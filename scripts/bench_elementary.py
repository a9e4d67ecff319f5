"""Elementary functions on a CPU: TVM's own lowering and this engine's, timed in turns on one core.

    python scripts/bench_elementary.py [--rounds 15]

Each function is computed of 200,000 normal float32 numbers in a loop over vectors of 16. The ratio
is that of one round's two times.
"""

import argparse
import json
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import tvm
from spread import spread
from tvm import te, tirx

from chameleon_ray.compiler.kinds import resolve
from chameleon_ray.compiler.passes.elementary import register_elementary
from chameleon_ray.compiler.runtime.cpu_runner import timing_environment
from chameleon_ray.measure.cores import available

NUMBERS, VECTOR = 200_000, 16
FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "exp": tirx.exp,
    "log": lambda x: tirx.log(tirx.abs(x)),
    "erf": tirx.erf,
    "tanh": tirx.tanh,
    "sigmoid": tirx.sigmoid,
    "cube": lambda x: tirx.power(x, tirx.const(3.0, "float32")),
}


def main() -> None:
    """Prints a row per function."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    os.environ.update(timing_environment(1))
    os.sched_setaffinity(0, available()[-1:])
    own = {name: timer(function) for name, function in FUNCTIONS.items()}
    register_elementary()
    vectors = {name: timer(function) for name, function in FUNCTIONS.items()}
    print("| function | TVM's, ns | this engine's, ns | ratio |")
    print("|---|---:|---:|---:|")
    for name in FUNCTIONS:
        pairs = [(own[name](), vectors[name]()) for _ in range(rounds)]
        columns = [*zip(*pairs, strict=True), [theirs / ours for theirs, ours in pairs]]
        cells = [spread(column) for column in columns]
        row = " | ".join("{median:.2f} ± {spread:.2f}".format(**cell) for cell in cells)
        print(f"| {name} | {row} |", flush=True)


def timer(function: Callable[[Any], Any]) -> Callable[[], float]:
    """What times a function as it is lowered now, in nanoseconds per number."""
    x = te.placeholder((NUMBERS,), "float32", name="x")
    y = te.compute(x.shape, lambda i: function(x[i]), name="y")
    schedule = tvm.s_tir.Schedule(te.create_prim_func([x, y]))
    (loop,) = schedule.get_loops(schedule.get_sblock("y"))
    schedule.vectorize(schedule.split(loop, [None, VECTOR])[1])
    library = tvm.compile(schedule.mod, tvm.target.Target(json.loads(resolve("llvm", 1)))).jit()
    numbers = np.random.default_rng(0).standard_normal(NUMBERS).astype("float32")
    arguments = tvm.runtime.tensor(numbers), tvm.runtime.tensor(np.zeros_like(numbers))
    evaluate = library.time_evaluator("main", tvm.cpu(), number=10)
    return lambda: evaluate(*arguments).mean / NUMBERS * 1e9


if __name__ == "__main__":
    main()
