"""Proves everything on a machine with an NVIDIA GPU and writes one JSON file.

    python scripts/gpu_check.py [--minutes 10] [--precisions float32 float16] [--out FOLDER]

In order: what the machine has; kernels of every kind against a CPU's outputs; a kernel that hangs,
one that writes out of bounds and one that traps, each followed by a right one; ResNet-18 tuned for
so many minutes by this engine and by stock MetaSchedule, beside PyTorch. What fails is an entry of
the file, and the rest goes on. ``--minutes 0`` leaves the models out. Nothing is downloaded.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from chameleon_ray.compiler.devices import Device, devices
from chameleon_ray.compiler.gpu_run import GpuRunner

PACKAGES = ("apache-tvm", "torch", "ray", "xgboost", "cuda-bindings", "nvidia-cuda-nvrtc")


def main() -> None:
    """Runs every part, says what came of it, and exits with 0 only if all of it was right."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--minutes", type=float, default=10.0, help="of each tuning; 0 for none")
    parser.add_argument("--precisions", nargs="*", default=["float32", "float16"])
    parser.add_argument("--out", type=Path, default=Path("runs/gpu_check"))
    arguments = parser.parse_args()
    arguments.out = arguments.out.resolve()  # the tuners run in other directories
    found = devices()
    if not any(usable(device) for device in found):
        sys.exit(f"Error: no GPU can be used here: {reason(found)}.")
    arguments.out.mkdir(parents=True, exist_ok=True)
    report: dict[str, Any] = {
        "began": time.strftime("%Y-%m-%d %H:%M:%S"),
        "devices": [asdict(device) for device in found],
        "versions": {name: installed(name) for name in PACKAGES},
    }
    good = checked(report, arguments)
    path = arguments.out / "gpu_check.json"
    path.write_text(json.dumps(report, indent=2, default=str) + "\n")
    print(f"{path}: {'all is right' if good else 'something is wrong, see there'}.")
    sys.exit(0 if good else 1)


def checked(report: dict[str, Any], arguments: argparse.Namespace) -> bool:
    """Fills the report; whether all of it is right."""
    from gpu_kernels import MEASURING, Bench

    runner = GpuRunner(MEASURING)
    surveyed = runner.survey()
    report["gpu"] = asdict(surveyed)
    if surveyed.error:
        return False
    bench = Bench(surveyed.target, runner)
    try:
        report["kernels"] = part("kernels", bench.kernels)
        report["faults"] = part("faults", bench.faults)
    finally:
        bench.close()
        runner.close()
    right = all_true(report["kernels"], "right") and all_true(report["faults"], "survived")
    if arguments.minutes > 0:
        from gpu_models import tuned

        given = surveyed.target, arguments.minutes, arguments.out
        report["models"] = {
            precision: part(precision, partial(tuned, precision, *given))
            for precision in arguments.precisions
        }
        right = right and all(verified(model) for model in report["models"].values())
    return right


def part(name: str, work: Callable[[], Any]) -> Any:
    """What a part comes to; an exception is an entry, too."""
    print(f"{name} ...", flush=True)
    try:
        return work()
    except Exception as error:
        return {"error": f"{type(error).__name__}: {str(error)[:500]}"}


def all_true(found: Any, key: str) -> bool:
    return isinstance(found, list) and all(one.get(key, False) for one in found)


def verified(model: Any) -> bool:
    """Whether this engine's model was compiled and gives the right outputs."""
    return bool(model.get("chameleon", {}).get("verified", {}).get("ok"))


def usable(device: Device) -> bool:
    return device.target.startswith("cuda") and device.usable


def reason(found: list[Device]) -> str:
    """Why there is no GPU, in words."""
    gpus = [device for device in found if device.target.startswith("cuda")]
    return "; ".join(f"{device.name} ({device.missing})" for device in gpus) or "TVM has no CUDA"


def installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


if __name__ == "__main__":
    main()
