"""Proves everything on a machine with an NVIDIA GPU and writes one JSON file.

    python scripts/gpu_check.py [--minutes 10] [--precisions float32 float16] [--out FOLDER]

In order: what the machine has; kernels of every kind against a CPU's outputs; a kernel that hangs,
one that writes out of bounds and one that traps, each followed by a right one; ResNet-18 tuned for
so many minutes by this engine and by stock MetaSchedule, beside PyTorch. What fails is an entry of
the file, which is written after every part, and the rest goes on. ``--minutes 0`` leaves the models
out. Nothing is downloaded.
"""

import argparse
import sys
import time
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from gpu_report import Report

from chameleon_ray.compiler.kind import Device
from chameleon_ray.compiler.kinds.devices import devices
from chameleon_ray.compiler.runtime.cuda_runner import CudaRunner

PACKAGES = ("apache-tvm", "torch", "ray", "xgboost", "cuda-bindings", "nvidia-cuda-nvrtc")


def main() -> None:
    """Runs every part, says what came of it, and exits with 0 only if all of it was right."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--minutes", type=float, default=10.0, help="of each tuning; 0 for none")
    parser.add_argument("--precisions", nargs="*", default=["float32", "float16"])
    parser.add_argument("--out", type=Path, default=Path("runs/gpu_check"))
    arguments = parser.parse_args()
    arguments.out = arguments.out.resolve()  # the tuners run in other directories
    if arguments.out.exists():
        sys.exit(f"Error: {arguments.out} exists already; give another --out.")
    found = devices()
    if not any(usable(device) for device in found):
        sys.exit(f"Error: no GPU can be used here: {reason(found)}.")
    arguments.out.mkdir(parents=True)
    report = Report(
        arguments.out / "gpu_check.json",
        began=time.strftime("%Y-%m-%d %H:%M:%S"),
        devices=[asdict(device) for device in found],
        versions={name: installed(name) for name in PACKAGES},
    )
    good = checked(report, arguments)
    print(f"{report.path}: {'all is right' if good else 'something is wrong, see there'}.")
    sys.exit(0 if good else 1)


def checked(report: Report, arguments: argparse.Namespace) -> bool:
    """Fills the report; whether all of it is right."""
    from gpu_kernels import MEASURING, Bench

    runner = CudaRunner(MEASURING)
    surveyed = runner.survey()
    report.part(("gpu",), lambda: asdict(surveyed))
    if surveyed.error:
        return False
    bench = Bench(surveyed.target, runner)
    try:
        for name, work in bench.kernels().items():
            report.part(("kernels", name), work)
        for name, work in bench.faults().items():
            report.part(("faults", name), work)
    finally:
        bench.close()
        runner.close()
    right = all_true(report, "kernels", "right") and all_true(report, "faults", "survived")
    if arguments.minutes > 0:
        from gpu_models import contestants

        for precision in arguments.precisions:
            given = precision, surveyed.target, arguments.minutes, arguments.out
            for name, work in contestants(*given).items():
                report.part(("models", precision, name), work)
            right = right and verified(report.fields["models"][precision])
    return right


def all_true(report: Report, kind: str, key: str) -> bool:
    return all(one.get(key, False) for one in report.fields[kind].values())


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
