"""Times a network's layers in 8-bit integers beside float32, both tuned, and ONNX Runtime's.

    python scripts/bench_int8.py [--mcpu CPU] [--trials N] [--layers N...] [--json FILE]

The layers are the convolutions of ResNet-18, each with its bias and ReLU. In integers these are
from uint8 to uint8, with int8 weights that have a scale per channel. A layer of either type is
tuned with equally many measurements. Then the sides take turns on one core. Times are those
of the process on the core, as a machine may have other work. ONNX Runtime runs its QLinearConv on
channels that are innermost, as here; it chooses instructions by the CPU, whatever ``--mcpu`` is.
"""

import argparse
import asyncio
import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", TVM_NUM_THREADS="1")

import numpy as np
import tvm
from spread import spread
from tvm import relax

from chameleon_ray.api.algorithms import searcher_factory
from chameleon_ray.compiler.kinds import LLVM, resolve
from chameleon_ray.compiler.passes.lower import lower
from chameleon_ray.compiler.relax import constant
from chameleon_ray.compiler.runtime.layer_inputs import random_array
from chameleon_ray.compiler.spaces.extract import extract
from chameleon_ray.compiler.spaces.sketch import InvalidConfig, Program
from chameleon_ray.options import Search
from chameleon_ray.pool import InProcessPool
from chameleon_ray.record import Record, Status
from chameleon_ray.search.system import SearchSystem
from chameleon_ray.space import Config
from chameleon_ray.task import Task
from chameleon_ray.tuner import Tuner

Call = Callable[[], Any]
"""One execution."""
TURNS = 11
SECONDS = 0.02
"""Of a turn, at least."""


@dataclass(frozen=True)
class Conv:
    """A convolution of square pictures, padded by half its kernel."""

    channels: int
    size: int
    filters: int
    kernel: int
    stride: int = 1
    zero: int = 0

    @property
    def padding(self) -> int:
        return self.kernel // 2


LAYERS = (
    Conv(3, 224, 64, 7, 2, zero=114),
    Conv(64, 56, 64, 3),
    Conv(64, 56, 128, 3, 2),
    Conv(64, 56, 128, 1, 2),
    Conv(128, 28, 128, 3),
    Conv(128, 28, 256, 3, 2),
    Conv(128, 28, 256, 1, 2),
    Conv(256, 14, 256, 3),
    Conv(256, 14, 512, 3, 2),
    Conv(256, 14, 512, 1, 2),
    Conv(512, 7, 512, 3),
)
"""Of ResNet-18, in order."""


class Workbench:
    """Tunes layers by the search of a tuner, in this process alone."""

    def __init__(self, trials: int, target: str) -> None:
        self.trials, self.target = trials, target
        pool = InProcessPool("searcher", searcher_factory(Search()), {}, time.perf_counter())
        self.system = SearchSystem(pool, pool, pool)

    def tuned(self, task: Task) -> Call:
        """The layer by the fastest configuration that was found."""
        tuner, left = Tuner(task, self.system, Search(), seed=0), self.trials
        while left > 0 and not tuner.exhausted:
            configs = asyncio.run(tuner.propose())[:left]
            tuner.observe([self.record(task, config, tuner.plan) for config in configs])
            left -= len(configs)
        assert tuner.best is not None
        return self.built(Program.loads(task.program), tuner.best.config)

    def record(self, task: Task, config: Config, plan: int) -> Record:
        """What became of a configuration."""
        latencies: tuple[float, ...] = ()
        try:
            call = self.built(Program.loads(task.program), config)
            latencies = (1e-3 * min(milliseconds(call, SECONDS / 4) for _ in range(5)),)
        except InvalidConfig:
            pass
        status = Status.OK if latencies else Status.INVALID
        return Record(task.digest, task.target, "cpu", config, "", status, latencies, plan=plan)

    def built(self, program: Program, config: Config) -> Call:
        """A layer by one configuration, or as it is, on random inputs."""
        module = program.schedule(config, LLVM.generator).mod if config else program.module
        kernel = tvm.compile(module, program.target).jit()["main"]
        rng = np.random.default_rng(0)
        shapes = program.arguments
        buffers = [tvm.runtime.tensor(random_array(rng, *shape)) for shape in shapes]
        return lambda: kernel(*buffers)


def layer(conv: Conv, integers: bool, target: str) -> Task:
    """The convolution's task, for a target as JSON."""
    machine = tvm.target.Target(json.loads(target))
    module = lower(graph(conv, integers), machine, LLVM)
    return max(extract(module, target, LLVM), key=lambda task: task.flop)


def graph(conv: Conv, integers: bool) -> Any:
    """A Relax module of one layer with random weights."""
    op, rng, builder = relax.op, np.random.default_rng(0), relax.BlockBuilder()
    shape, dtype = (1, conv.channels, conv.size, conv.size), "uint8" if integers else "float32"
    sizes, sums = (conv.filters, conv.channels, conv.kernel, conv.kernel), (1, conv.filters, 1, 1)
    weights = constant(rng.integers(-127, 128, sizes), "int8" if integers else "float32")
    bias = constant(rng.integers(-999, 999, sums), "int32" if integers else "float32")
    window = {"strides": conv.stride, "padding": conv.padding}
    x = relax.Var("x", relax.TensorType(shape, dtype))
    with builder.function("main", [x]):
        with builder.dataflow():
            data: Any = x
            if conv.zero and integers:
                widened = builder.emit(op.astype(x, "int16"))
                data = builder.emit(widened - relax.const(conv.zero, "int16"))
            kind = {"out_dtype": "int32"} if integers else {}
            y = builder.emit(builder.emit(op.nn.conv2d(data, weights, **window, **kind)) + bias)
            if integers:
                scale = constant(rng.uniform(1e-4, 2e-4, sums), "float32")
                y = builder.emit(builder.emit(op.astype(y, "float32")) * scale)
                y = builder.emit(op.clip(builder.emit(op.round(y)), 0, 255))
            output = builder.emit_output(op.astype(y, "uint8") if integers else op.nn.relu(y))
        builder.emit_func_output(output)
    return builder.get()


def onnxruntime(conv: Conv) -> Call:
    """ONNX Runtime's own operator, with one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        quantised(conv), options, providers=["CPUExecutionProvider"]
    )
    shape = (1, conv.size, conv.size, conv.channels)
    feed = {"x": np.random.default_rng(0).integers(0, 256, shape).astype("uint8")}
    return lambda: session.run(None, feed)


def quantised(conv: Conv) -> bytes:
    """A convolution as an ONNX model of ONNX Runtime's own operator."""
    import onnx

    rng, of_array = np.random.default_rng(0), onnx.numpy_helper.from_array
    sizes = (conv.filters, conv.channels, conv.kernel, conv.kernel)
    one, zero = np.float32(1), np.uint8(0)
    constants = {
        "x_scale": one,
        "x_zero": np.uint8(conv.zero),
        "w": rng.integers(-127, 128, sizes).astype("int8"),
        "w_scale": rng.uniform(1e-4, 2e-4, conv.filters).astype("float32"),
        "w_zero": np.zeros(conv.filters, "int8"),
        "y_scale": one,
        "y_zero": zero,
        "bias": rng.integers(-999, 999, conv.filters).astype("int32"),
    }
    node = onnx.helper.make_node(
        "QLinearConv",
        ["x", *constants],
        ["y"],
        domain="com.microsoft",
        channels_last=1,
        strides=[conv.stride] * 2,
        pads=[conv.padding] * 4,
    )
    shape = (1, conv.size, conv.size, conv.channels)
    byte, value = onnx.TensorProto.UINT8, onnx.helper.make_tensor_value_info
    numbers = [of_array(np.asarray(array), name) for name, array in constants.items()]
    graph = onnx.helper.make_graph(
        [node], "layer", [value("x", byte, shape)], [value("y", byte, None)], numbers
    )
    opsets = [onnx.helper.make_opsetid("", 17), onnx.helper.make_opsetid("com.microsoft", 1)]
    model: bytes = onnx.helper.make_model(
        graph, opset_imports=opsets, ir_version=9
    ).SerializeToString()
    return model


def in_turns(calls: dict[str, Call]) -> dict[str, dict[str, float]]:
    """Milliseconds of one execution of each side."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(TURNS):
        for name, call in calls.items():
            taken[name].append(milliseconds(call, SECONDS))
    return {name: spread(some) for name, some in taken.items()}


def milliseconds(call: Call, seconds: float) -> float:
    """Of this process's time on its core, for one execution; the mean over ``seconds``."""
    call()
    count, began = 0, time.process_time()
    while (passed := time.process_time() - began) < seconds:
        call()
        count += 1
    return 1e3 * passed / count


def row(conv: Conv, times: dict[str, dict[str, float]]) -> str:
    """A line of the table."""
    ms = {name: time["median"] for name, time in times.items()}
    cells = [f"{time['median']:.3f} ± {time['spread']:.3f}" for time in times.values()]
    ratios = [f"{ms['int8'] / ms[name]:.2f}" for name in ("float32", "ONNX Runtime")]
    name = f"{conv.channels}x{conv.size} -> {conv.filters}, {conv.kernel}x{conv.kernel}"
    return " | ".join(["", f"{name} / {conv.stride}", *cells, *ratios, ""]).strip()


def main() -> None:
    """Tunes and times the layers asked for, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--mcpu", help="LLVM's name of a CPU; this machine's where left out")
    parser.add_argument("--trials", type=int, default=40, help="measurements for each layer")
    parser.add_argument("--layers", type=int, nargs="+", default=[*range(len(LAYERS))])
    parser.add_argument("--json", type=Path, help="file for the figures")
    arguments = parser.parse_args()
    own = {"kind": "llvm", **({"mcpu": arguments.mcpu} if arguments.mcpu else {})}
    target, found = resolve(json.dumps(own), 1), []
    workbench = Workbench(arguments.trials, target)
    print("| layer | int8, ms | float32, ms | ONNX Runtime int8, ms | / float32 | / theirs |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for number in arguments.layers:
        conv = LAYERS[number]
        sides = {
            name: workbench.tuned(layer(conv, name == "int8", target))
            for name in ("int8", "float32")
        }
        times = in_turns({**sides, "ONNX Runtime": onnxruntime(conv)})
        print(row(conv, times), flush=True)
        found.append({**asdict(conv), "ms": times})
    if arguments.json:
        arguments.json.write_text(json.dumps({"target": target, "layers": found}, indent=1))


if __name__ == "__main__":
    main()
