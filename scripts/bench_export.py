"""Compares an exported model's C++ program with ONNX Runtime: size, first result, memory.

    python scripts/bench_export.py RUN [--rounds N] [--json FILE]

RUN is the directory of a finished run of a torch module. It is exported, and the C++ program is
built with CMake and started in an empty environment, without Python. ONNX Runtime has the same
module as an ONNX file, and as many threads. Its C++ library is not on PyPI, so it runs in a fresh
Python: the time of its imports, and the memory of a Python with NumPy alone, are told apart. The
two are started in turns, and files are in the page cache. Outputs of the C++ program are compared
with those of ``chameleon_ray.load`` to the bit, and with ONNX Runtime's.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from spread import spread

ROUNDS = 7
MEBI = 2**20
PREPARE = """
import json, sys, warnings
from pathlib import Path
import numpy, torch
import chameleon_ray
from chameleon_ray import api
run, place = map(Path, sys.argv[1:])
warnings.simplefilter("ignore")
api.export(run, place / "exported")
program = torch.export.load(json.loads((run / "run.json").read_text())["options"]["model"])
rng, model = numpy.random.default_rng(0), chameleon_ray.load(run)
inputs = [rng.random(one.shape, one.dtype) for one in model.inputs]
for number, array in enumerate(inputs):
    array.tofile(place / f"in{number}.bin")
    numpy.save(place / f"in{number}.npy", array)
outputs = model(*inputs)
for number, array in enumerate(outputs if isinstance(outputs, tuple) else (outputs,)):
    numpy.save(place / f"expected{number}.npy", array)
arguments = tuple(map(torch.from_numpy, inputs))
kept = torch.onnx.TrainingMode.PRESERVE  # the program is in inference mode
file = str(place / "model.onnx")
torch.onnx.export(program.module(), arguments, file, training=kept, dynamo=False)
"""
"""Exports a run to a server's folder and to ONNX, and computes the outputs to expect."""
ONNXRUNTIME = """
import sys, time
began = time.perf_counter()
import numpy, onnxruntime
imported = time.perf_counter()
place, inputs, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
options = onnxruntime.SessionOptions()
options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
arrays = [numpy.load(f"{place}/in{number}.npy") for number in range(inputs)]
loading = time.perf_counter()
session = onnxruntime.InferenceSession(
    f"{place}/model.onnx", options, providers=["CPUExecutionProvider"]
)
names = [one.name for one in session.get_inputs()]
outputs = session.run(None, dict(zip(names, arrays)))
seconds = time.perf_counter() - loading
(resident,) = [line.split()[1] for line in open("/proc/self/status") if line.startswith("VmRSS")]
print(imported - began, seconds, resident)
for number, array in enumerate(outputs):
    numpy.save(f"{place}/onnxruntime{number}.npy", array)
"""
"""Prints the seconds of the imports, those until there is a result, and the resident KiB then."""


def main() -> None:
    """Exports, measures in turns, and prints what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("run", metavar="RUN", type=Path)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"of each; {ROUNDS}")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = compared(arguments.run.resolve(), Path(folder), arguments.rounds)
    for line in told(found):
        print(line)
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")


def compared(run: Path, place: Path, rounds: int) -> dict[str, Any]:
    """Returns the figures of both, and whether the outputs are equal."""
    subprocess.run([sys.executable, "-c", PREPARE, str(run), str(place)], check=True)
    exported = place / "exported"
    program, manifest = built(exported), json.loads((exported / "manifest.json").read_text())
    count, threads = len(manifest["inputs"]), manifest["threads"]
    arrays = sorted(place.glob("expected*.npy"))
    results = [place / f"out{number}.bin" for number in range(len(arrays))]
    inputs = [place / f"in{number}.bin" for number in range(count)]
    words = [program, exported / "model.so", *inputs, "--", *results]
    session = [sys.executable, "-c", ONNXRUNTIME, place, count, threads]
    ours, theirs, bare = list[Any](), list[Any](), list[Any]()
    for _ in range(rounds):
        ours.append(child(words, {}))
        theirs.append(child(session, dict(os.environ)))
        bare.append(child([sys.executable, "-c", "import numpy"], dict(os.environ)))
    return {
        **equality(place, arrays, results),
        "threads": threads,
        "ours": {
            "model_bytes": (exported / "model.so").stat().st_size,
            "library_bytes": size(exported / "lib") + program.stat().st_size,
            **seconds_and_peak(ours),
            "resident_bytes": spread([resident(words[:2]) for _ in range(rounds)]),
        },
        "onnxruntime": {
            "model_bytes": (place / "model.onnx").stat().st_size,
            "library_bytes": size(onnxruntime_folder()),
            **seconds_and_peak(theirs),
            "import_seconds": spread([float(one["said"].split()[0]) for one in theirs]),
            "result_seconds": spread([float(one["said"].split()[1]) for one in theirs]),
            "resident_bytes": spread([1024 * int(one["said"].split()[2]) for one in theirs]),
            "bare_python_peak_bytes": spread([one["peak"] for one in bare]),
        },
    }


def equality(place: Path, arrays: list[Path], results: list[Path]) -> dict[str, Any]:
    """Compares outputs in C++ with Python's to the bit, and Python's with ONNX Runtime's."""
    expected = [np.load(path) for path in arrays]
    other = [np.load(place / f"onnxruntime{number}.npy") for number in range(len(arrays))]
    bits = zip(expected, results, strict=True)
    pairs = zip(expected, other, strict=True)
    return {
        "equal_bits": all(one.tobytes() == path.read_bytes() for one, path in bits),
        "error": max(float(np.abs(a - b).max() / np.abs(b).max()) for a, b in pairs),
    }


def seconds_and_peak(processes: list[dict[str, Any]]) -> dict[str, Any]:
    """Sums up how long processes took, and the most memory that they had."""
    return {
        "process_seconds": spread([one["seconds"] for one in processes]),
        "peak_bytes": spread([one["peak"] for one in processes]),
    }


def child(words: list[Any], environment: dict[str, str]) -> dict[str, Any]:
    """Runs a program; returns its seconds from start to end, its peak of memory, and its output.

    Raises:
        SystemExit: It failed.
    """
    began = time.perf_counter()
    process = subprocess.Popen(
        list(map(str, words)), env=environment, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"Error: {words[0]} ended with {process.returncode}.")
    return {"seconds": seconds, "peak": usage.ru_maxrss * 1024, "said": said}


def resident(words: list[Any]) -> int:
    """Returns the bytes that the C++ program has in memory at last while it times itself."""
    command, found = [*map(str, words), "--time", "1"], 0
    with subprocess.Popen(command, env={}, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            status = Path(f"/proc/{process.pid}/status").read_text().splitlines()
            lines = [line for line in status if line.startswith("VmRSS")]
            found = 1024 * int(lines[0].split()[1]) if lines else found
            time.sleep(0.05)
    return found


def built(exported: Path) -> Path:
    """Builds the C++ program with CMake."""
    place = exported / "build"
    for words in (["-S", exported / "cpp", "-B", place], ["--build", place]):
        subprocess.run(["cmake", *map(str, words)], check=True, stdout=subprocess.DEVNULL)
    return place / "main"


def onnxruntime_folder() -> Path:
    """Returns the folder of ONNX Runtime's shared libraries.

    Raises:
        SystemExit: It is not installed.
    """
    spec = importlib.util.find_spec("onnxruntime")
    if spec is None or spec.origin is None:
        raise SystemExit("Error: onnxruntime is not installed; run pip install onnxruntime.")
    return Path(spec.origin).parent / "capi"


def size(folder: Path) -> int:
    """Returns the bytes of the shared libraries in a folder."""
    return sum(path.stat().st_size for path in folder.iterdir() if ".so" in path.name)


def told(found: dict[str, Any]) -> list[str]:
    """Returns lines for people."""
    lines = [
        f"outputs {'equal' if found['equal_bits'] else 'DIFFER'} to the bit in C++ and Python; "
        f"{found['error']:.1e} from ONNX Runtime's; {found['threads']} threads"
    ]
    for name in ("ours", "onnxruntime"):
        for key, value in found[name].items():
            unit = MEBI if key.endswith("bytes") else 1
            one = value if isinstance(value, dict) else {"median": value, "spread": 0}
            median, around = one["median"] / unit, one["spread"] / unit
            lines.append(f"{name}: {key.replace('bytes', 'MiB')} {median:.3f} ± {around:.3f}")
    return lines


if __name__ == "__main__":
    main()
