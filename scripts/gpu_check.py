"""Proves everything on a machine with an NVIDIA GPU, in as little time as there is.

    python scripts/gpu_check.py [PART ...] [--out FOLDER] [--prebuilt FOLDER] [--seconds 570]
    python scripts/gpu_check.py --build-only FOLDER [--arch sm_90]

The parts run one after the other, each in a process of its own, until the time is up; without names
all do, the worthiest first: what the machine has; PyTorch; one kernel of each data type; kernels of
all kinds against a CPU's outputs; kernels that go wrong; how timings differ; ResNet-18 in float16
and float32, and BERT, tuned by this engine and by stock MetaSchedule, and timed in turns with
PyTorch. ``gpu_check.json`` is written after every part. The same command goes on with the file that
it finds there: a part that is done is not run again, unless with ``--again``, or where
the code has changed since. ``--build-only``
compiles the kernels on a machine that needs no GPU. Nothing is downloaded.
"""

import argparse
import sys
import time
from pathlib import Path

from gpu_parts import PARTS, Given, do
from gpu_report import Report, wrongs
from gpu_stamp import demand_same, renewed
from gpu_supervisor import Supervisor, settled

from chameleon_ray.compiler.kind import Device
from chameleon_ray.compiler.kinds import resolve
from chameleon_ray.compiler.kinds.devices import devices
from chameleon_ray.errors import UserError


def main() -> None:
    """Runs the parts, says what came of it, and exits with 0 only if all of it was right."""
    arguments = parse()
    if arguments.child:
        do(arguments.child, given(arguments, arguments.child, PARTS[arguments.child].seconds))
        return
    if arguments.build_only:
        arguments.parts, arguments.out = ["build"], arguments.build_only
        demand_architecture(arguments.arch)
    names = demanded(arguments)
    arguments.out = arguments.out.resolve()  # the tuners run in other directories
    try:
        arguments.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        sys.exit(f"Error: {arguments.out} cannot be made ({error.strerror}); give another folder.")
    report = Report(arguments.out / "gpu_check.json")
    report.fields.setdefault("began", time.strftime("%Y-%m-%d %H:%M:%S"))
    renewed(report, arguments.only, arguments.arch if arguments.build_only else "")
    for name in names if arguments.again else ():
        report.fields.get("parts", {}).pop(name, None)
    supervisor = Supervisor(report, arguments.out, arguments.seconds, sys.argv[1:])
    try:
        for name in names:
            supervisor.run(name, arguments.budget, arguments.grace)
    except KeyboardInterrupt:
        print("Stopped. Without --again the same command goes on from here.", file=sys.stderr)
        sys.exit(130)
    faults, left = judged(report, names)
    report.fields["verdict"] = {"right": not faults and not left, "wrong": faults, "undone": left}
    report.write()
    for line in (*faults, *(f"{name} is not done" for name in left)):
        print(line)
    print(f"{report.path}: {'something is not right' if faults or left else 'all is right'}.")
    sys.exit(1 if faults or left else 0)


def demanded(arguments: argparse.Namespace) -> list[str]:
    """Names of the parts to run; ends the script with one sentence where they cannot be run."""
    unknown = [name for name in arguments.parts if name not in PARTS]
    if unknown:
        sys.exit(f"Error: there is no part {unknown[0]!r}; the parts are: {', '.join(PARTS)}.")
    demand_kernels(arguments.only)
    names = arguments.parts or [name for name in PARTS if name != "build" or building(arguments)]
    if not arguments.build_only and not all(PARTS[name].plain for name in names):
        demand_gpu()
    if "build" not in names:
        demand_same(arguments.prebuilt or arguments.out / "prebuilt")
    return names


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of: {', '.join(PARTS)}; all")
    parser.add_argument("--out", type=Path, default=Path("runs/gpu_check"))
    parser.add_argument("--seconds", type=float, default=570.0, help="of all parts; 570")
    parser.add_argument("--budget", type=float, help="most seconds that a part plans with")
    parser.add_argument("--grace", type=float, help="seconds after those until it is stopped")
    parser.add_argument("--prebuilt", type=Path, help="folder that --build-only wrote")
    parser.add_argument("--build-only", type=Path, metavar="FOLDER", help="compile kernels")
    parser.add_argument("--arch", default="sm_90", help="for --build-only; sm_90")
    parser.add_argument("--only", nargs="*", default=[], help="kernels with such words in a name")
    parser.add_argument("--again", action="store_true", help="run parts that are done, too")
    parser.add_argument("--small", action="store_true", help="rehearse: tiny models, few timings")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    return parser.parse_args()


def building(arguments: argparse.Namespace) -> bool:
    """Whether this machine has to compile the kernels itself."""
    return arguments.prebuilt is None


def given(arguments: argparse.Namespace, name: str, seconds: float) -> Given:
    """What a part is given, in its own process."""
    out = (arguments.build_only or arguments.out).resolve()
    prebuilt = arguments.prebuilt or (out if arguments.build_only else out / "prebuilt")
    return Given(
        report=Report(out / "parts" / f"{name}.json"),
        out=out,
        prebuilt=prebuilt.resolve(),
        seconds=min(seconds, arguments.budget or seconds),
        argument=PARTS[name].argument,
        small=arguments.small,
        only=tuple(arguments.only),
        arch=arguments.arch if arguments.build_only else "",
    )


def judged(report: Report, names: list[str]) -> tuple[list[str], list[str]]:
    """What is wrong in the parts, and which of them are not done."""
    parts = report.fields.get("parts", {})
    faults = [fault for name in names for fault in wrongs(parts.get(name, {}), (name,))]
    return faults, [name for name in names if not settled(parts.get(name, {}))]


def demand_kernels(words: list[str]) -> None:
    """Ends the script with one sentence where a word of ``--only`` is in no kernel's name."""
    from gpu_kernels import expected_sets

    for word in words:
        if not expected_sets([word]):
            kinds, types, spaces = (
                ", ".join(dict.fromkeys(names)) for names in zip(*expected_sets(), strict=True)
            )
            sys.exit(
                f"Error: no kernel has {word!r} in its name; names are of a kind ({kinds}), "
                f"a data type ({types}) and a space ({spaces})."
            )


def demand_architecture(name: str) -> None:
    """Ends the script with one sentence where nothing can be compiled for a GPU's architecture."""
    try:
        resolve(f"cuda:{name}", 1)
    except UserError as error:
        sys.exit(f"Error: {error}")


def demand_gpu() -> None:
    """Ends the script with one sentence where no GPU can be used."""
    found = devices()
    if not any(device.target.startswith("cuda") and device.usable for device in found):
        sys.exit(f"Error: no GPU can be used here: {reason(found)}.")


def reason(found: list[Device]) -> str:
    """Why there is no GPU, in words."""
    gpus = [device for device in found if device.target.startswith("cuda")]
    return "; ".join(f"{device.name} ({device.missing})" for device in gpus) or "TVM has no CUDA"


if __name__ == "__main__":
    main()
