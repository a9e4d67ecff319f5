"""The command line: a function per command; every error is one sentence on stderr."""

import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from chameleon_ray import __version__
from chameleon_ray.answering import UNVERIFIED, answering, errors
from chameleon_ray.measure.cores import threads as threads_of
from chameleon_ray.options import Replaying, Request, Scheduling, least_values

if TYPE_CHECKING:
    from chameleon_ray.report.result import Verified
    from chameleon_ray.report.zoo import ZooEntry

app = typer.Typer(
    help="Tunes whole deep-learning models for TVM: Chameleon's search, in parallel on Ray.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
LEAST = least_values(Request)
screen = Console(soft_wrap=True, highlight=False)
tell = partial(errors.print, highlight=False, soft_wrap=True, markup=False)

Model = Annotated[
    str, typer.Argument(help="Zoo name, .onnx or .pt2 file, or package.module:factory.")
]
Inputs = Annotated[
    list[str],
    typer.Option("--input", help="NAME:SHAPE[:DTYPE], as x:1x3x224x224:float32; or NAME=VALUE."),
]
Examples = Annotated[
    list[str], typer.Option("--example", help="Values of inputs: FILE.npz, or NAME=FILE.npy.")
]
Run = Annotated[Path, typer.Argument(help="The directory of a finished run.")]
Layout = Annotated[
    str, typer.Option(help="Convolution layout: NHWC, NCHW, or auto, what suits the target.")
]
Precision = Annotated[
    str, typer.Option(help="Of what is float32 in the model: float32, float16, bfloat16, or tf32.")
]
Aware = Annotated[
    bool, typer.Option("--memory-aware", help="Reorder and rewrite for least memory first.")
]
Vendor = Annotated[
    bool, typer.Option("--vendor/--no-vendor", help="Try kernels of cuBLASLt and cuDNN, too.")
]
BuildOnly = Annotated[bool, typer.Option("--build-only", help="Compile only; needs no GPU.")]
Seconds = Annotated[float, typer.Option(min=0.1, help="Most for each search of an order.")]
WarmStart = Annotated[list[str], typer.Option("--warm-start", help="An earlier run to learn from.")]
Address = Annotated[str | None, typer.Option(help="Ray cluster to join; else none.")]
Engine = Annotated[str, typer.Option(help="ray, or serial.")]
Debug = Annotated[bool, typer.Option("--debug", help="Tracebacks and warnings.")]
Name = Annotated[str | None, typer.Option(help="In place of the preset's.")]
Target = Annotated[
    str, typer.Option(help="llvm, cuda, cuda:sm_90 or the like, or a TVM target as JSON.")
]
Template = Annotated[
    list[str], typer.Option(help="A template of another package, tried before our own.")
]


def cores_of(text: str) -> int:
    """Reads the value of ``--threads``."""
    with suppress(ValueError):
        if (count := threads_of(text)) >= LEAST["threads"]:
            return count
    raise typer.BadParameter(f"{text!r} is no number of cores, nor all.")


Threads = Annotated[
    int | None,
    typer.Option(
        parser=cores_of,
        metavar="N|all",
        help="Cores that a kernel may use, or all; half where left out, or one per GPU.",
    ),
]


@app.command()
def tune(
    model: Model,
    inputs: Inputs = [],  # noqa: B006
    examples: Examples = [],  # noqa: B006
    target: Target = "llvm",
    trials: Annotated[
        int | None, typer.Option(min=LEAST["trials"], help="Most measurements.")
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(min=LEAST["minutes"], help="Most wall time.")
    ] = None,
    preset: Annotated[str, typer.Option(help="The search system.")] = "chameleon",
    explorer: Name = None,
    sampler: Name = None,
    cost_model: Name = None,
    template: Template = [],  # noqa: B006
    seed: Annotated[int, typer.Option(min=LEAST["seed"])] = 0,
    out: Annotated[str | None, typer.Option(help="The run directory; else a new one.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
    warm_start: WarmStart = [],  # noqa: B006
    address: Address = None,
    threads: Threads = None,
    layout: Layout = "auto",
    precision: Precision = "float32",
    memory_aware: Aware = False,
    vendor: Vendor = True,
    build_only: BuildOnly = False,
    engine: Engine = "ray",
    debug: Debug = False,
) -> None:
    """Tunes a model and writes the compiled, verified result to the run directory.

    Exit status: 0 if the outputs are those of the source framework, 1 if they differ or anything
    else went wrong, 3 if they could be compared with untuned TVM's only, 130 after Ctrl-C.
    """
    asked = {n: tuple(v) if isinstance(v, list) else v for n, v in locals().items()}
    request = Request(**{n: v for n, v in asked.items() if n != "debug"})  # type: ignore[arg-type]
    (_build if build_only else _tune)(request, debug)


def _tune(request: Request, debug: bool) -> None:
    from chameleon_ray.report.progress import Progress

    progress = Progress()
    with answering(debug):
        from chameleon_ray import api
        from chameleon_ray.report.console import final_message
        from chameleon_ray.report.live_table import watching

        with watching(progress, errors):
            result = api.tune(request, progress)
        screen.print(final_message(result))
        _settle(result.verified, result.folder / "model.so")


def _build(request: Request, debug: bool) -> None:
    """Compiles configurations without timing them."""
    with answering(debug):
        from chameleon_ray import api
        from chameleon_ray.report.builds import shown

        for part in shown(api.build(request, tell)):
            screen.print(part)


@app.command()
def zoo(
    file: Annotated[Path, typer.Argument(help="YAML: models, targets, budget.")],
    trials: Annotated[
        int | None, typer.Option(min=LEAST["trials"], help="Most measurements of all.")
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(min=LEAST["minutes"], help="Most wall time of all.")
    ] = None,
    out: Annotated[str | None, typer.Option(help="The zoo's directory; else a new one.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the zoo in --out.")] = False,
    warm_start: WarmStart = [],  # noqa: B006
    address: Address = None,
    engine: Engine = "ray",
    layers: Annotated[bool, typer.Option("--layers", help="Count layers; tune nothing.")] = False,
    debug: Debug = False,
) -> None:
    """Tunes several models together: equal layers once, one budget, a run directory for each.

    Exit status: as that of tune; 1 or else 3 if any model would have it.
    """
    given = {"trials": trials, "minutes": minutes, "out": out, "resume": resume}
    from chameleon_ray.report.progress import Progress

    progress = Progress()
    with answering(debug):
        from chameleon_ray import api
        from chameleon_ray.report import zoo as words
        from chameleon_ray.report.live_table import watching

        common = {"warm_start": tuple(warm_start), "address": address, "engine": engine}
        asked = api.read_zoo(file, Request("", **given | common))  # type: ignore[arg-type]
        if layers:
            entries, found = api.survey(asked, tell)
            screen.print(words.table(entries), words.merging(found) + ".")
        else:
            with watching(progress, errors):
                result = api.tune_zoo(asked, progress)
            screen.print(words.final_message(result))
            entries = list(result.entries)
        _settle_all(entries)


@app.command()
def apply(
    run: Run,
    model: Model,
    inputs: Inputs = [],  # noqa: B006
    examples: Examples = [],  # noqa: B006
    debug: Debug = False,
) -> None:
    """Compiles a model with the winners of a finished run, and verifies it.

    Exit status: as that of tune.
    """
    with answering(debug):
        from chameleon_ray import api
        from chameleon_ray.report.launching import sentence
        from chameleon_ray.report.loading import needs

        done = api.apply(run, model, tuple(inputs), tuple(examples))
        tuned = f"{done.library}: {done.applied} of {done.layers} layers tuned"
        for need in needs(done.needs):
            screen.print(need, markup=False)
        if done.verified is None:
            screen.print(f"{tuned}, not verified, as there is no device here to run it on.")
            raise typer.Exit(UNVERIFIED)
        against = f"verified against {done.verified.against}"
        if not done.verified.independent:
            against = f"not verified, compared with {done.verified.against} only"
        if done.verified.ok:
            screen.print(f"{tuned}, {against} ({done.verified.errors}).")
        if done.launching is not None:
            screen.print(sentence(done.launching), markup=False)
        _settle(done.verified, done.library)


@app.command()
def bench(
    run: Run,
    repeats: Annotated[int, typer.Option(min=2, help="Timings of each library.")] = 20,
    debug: Debug = False,
) -> None:
    """Times a finished run's model, untuned and tuned in turns."""
    with answering(debug):
        from chameleon_ray import api
        from chameleon_ray.options import Confirming

        untuned, tuned = api.bench(run, Confirming(model_repeats=repeats, model_seconds=60))
        for name, latency in (("untuned", untuned), ("tuned", tuned)):
            screen.print(
                f"{name:8} {1e3 * latency.seconds:9.3f} ms (spread {1e3 * latency.spread:.3f} ms)"
            )
        screen.print(f"{untuned.seconds / tuned.seconds:.1f} times as fast")


@app.command()
def replay(
    table: Annotated[
        Path, typer.Argument(help="Kernel Tuner cache, T4 results, or records of a run.")
    ],
    preset: Annotated[str, typer.Option(help="The search system.")] = "chameleon",
    explorer: Name = None,
    sampler: Name = None,
    cost_model: Name = None,
    measurements: Annotated[
        int, typer.Option(min=1, help="Of each search.")
    ] = Replaying.measurements,
    seeds: Annotated[int, typer.Option(min=1, help="How many searches.")] = Replaying.seeds,
    seed: Annotated[int, typer.Option(min=0, help="Of the first search.")] = 0,
    task: Annotated[str | None, typer.Option(help="Its digest, where there are several.")] = None,
    warm_start: Annotated[
        Path | None, typer.Option(help="A table measured earlier, to learn from.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Directory for the records.")] = None,
    file: Annotated[Path | None, typer.Option("--json", help="File for the figures.")] = None,
    debug: Debug = False,
) -> None:
    """Searches a table of recorded measurements: no compiler, no device, the same search."""
    with answering(debug):
        from chameleon_ray.api import algorithms
        from chameleon_ray.api import replay as replaying
        from chameleon_ray.replay.table import read_table
        from chameleon_ray.report.replay import line, shown

        numbers = range(seed, seed + seeds)
        search = algorithms.chosen(preset, explorer, sampler, cost_model)
        recorded = read_table(table, task)
        replaying.destinations(out, file, numbers)
        teacher = None if warm_start is None else read_table(warm_start)
        say = lambda so_far, run: tell(line(so_far, run))  # noqa: E731
        result = replaying.replay(recorded, search, measurements, numbers, say, teacher)
        replaying.write(result, preset, out, file)
        for part in shown(result, preset):
            screen.print(part, markup=False)


@app.command()
def memory(
    model: Model,
    inputs: Inputs = [],  # noqa: B006
    seed: Annotated[int, typer.Option(min=LEAST["seed"])] = 0,
    layout: Layout = "auto",
    seconds: Seconds = Scheduling.seconds,
    file: Annotated[Path | None, typer.Option("--json", help="File for the figures.")] = None,
    debug: Debug = False,
) -> None:
    """Peak memory of a model's activations: in its order, in the best one, and rewritten."""
    with answering(debug):
        from chameleon_ray.api import memory as weighing
        from chameleon_ray.report.memory import shown

        request = Request(model, tuple(inputs), seed=seed, layout=layout)
        footprint = weighing.weigh(request, Scheduling(seconds=seconds), file)
        for part in shown(footprint, screen.width):
            screen.print(part, markup=False)


@app.command()
def devices(
    address: Annotated[str | None, typer.Option(help="Ray cluster to ask; else none.")] = None,
    debug: Debug = False,
) -> None:
    """Lists what every machine can tune on, and what is missing where it cannot."""
    with answering(debug):
        from chameleon_ray import api

        found = api.devices() if address is None else api.cluster_devices(address)
        for device in found:
            state = "ready" if device.usable else "not usable"
            screen.print(
                f"{device.node}: {device.target:10} {device.name}: {state}. {device.missing}.",
                markup=False,
            )
        if not any(device.usable for device in found):
            raise api.UserError("No device can be tuned on; see above.")


def _settle(verified: "Verified | None", library: Path) -> None:
    """Ends the command with a status of its own unless the outputs are known to be right."""
    from chameleon_ray.api import UserError

    if verified is None or not verified.ok:
        fault = verified.fault if verified else "they were not compared"
        other = verified.against if verified else "the original"
        raise UserError(
            f"The tuned model's outputs differ from those of {other} ({fault}); do not use "
            f"{library}."
        )
    if verified.outcome == "unverified":
        raise typer.Exit(UNVERIFIED)


def _settle_all(entries: "Sequence[ZooEntry]") -> None:
    """Does the same for all models of a zoo."""
    from chameleon_ray.api import UserError

    problems = [f"{entry.name}: {entry.problem}" for entry in entries if entry.problem]
    if problems:
        raise UserError("\nError: ".join(problems))
    if any(entry.unverified for entry in entries):
        raise typer.Exit(UNVERIFIED)


@app.command(name="version")
def show_version() -> None:
    """Prints the version."""
    screen.print(__version__)


def main() -> None:
    """Runs the ``chameleon`` command."""
    app()
    sys.exit(0)


if __name__ == "__main__":
    main()
