"""The command line: arguments in, exit status out; every error is one sentence on stderr."""

import logging
import sys
from typing import Annotated

import typer
from rich.console import Console

from chameleon_ray import __version__
from chameleon_ray.options import Request

app = typer.Typer(
    help="Tunes whole deep-learning models for TVM: Chameleon's search, in parallel on Ray.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
errors = Console(stderr=True)
INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""


@app.command()
def tune(
    model: Annotated[
        str, typer.Argument(help="Zoo name, .onnx or .pt2 file, or package.module:factory.")
    ],
    inputs: Annotated[
        list[str], typer.Option("--input", help="NAME:SHAPE[:DTYPE], as data:1x3x224x224:float32.")
    ] = [],  # noqa: B006
    target: Annotated[str, typer.Option(help="llvm, or a TVM target as JSON.")] = "llvm",
    trials: Annotated[int | None, typer.Option(min=1, help="Most measurements.")] = None,
    minutes: Annotated[
        float | None, typer.Option(min=0.1, help="Most wall time of the whole command.")
    ] = None,
    preset: Annotated[str, typer.Option(help="The search system.")] = "chameleon",
    explorer: Annotated[str | None, typer.Option(help="In place of the preset's.")] = None,
    sampler: Annotated[str | None, typer.Option(help="In place of the preset's.")] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    out: Annotated[str | None, typer.Option(help="The run directory.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
    address: Annotated[
        str | None, typer.Option(help="Ray cluster to join; a private one where left out.")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Cores kept for timing; half where left out.")
    ] = None,
    layout: Annotated[str, typer.Option(help="Convolution layout: NHWC or NCHW.")] = "NHWC",
    engine: Annotated[str, typer.Option(help="ray, or serial.")] = "ray",
    debug: Annotated[bool, typer.Option("--debug", help="Tracebacks and warnings.")] = False,
) -> None:
    """Tunes a model and writes the compiled, verified result to the run directory."""
    from chameleon_ray.report.progress import Progress

    progress = Progress()
    request = Request(
        model=model,
        inputs=tuple(inputs),
        target=target,
        trials=trials,
        minutes=minutes,
        preset=preset,
        explorer=explorer,
        sampler=sampler,
        seed=seed,
        out=out,
        resume=resume,
        address=address,
        threads=threads,
        layout=layout,
        engine=engine,
    )
    with answering(debug):
        from chameleon_ray import api
        from chameleon_ray.report.closing import closing
        from chameleon_ray.report.table import watching

        with watching(progress, errors):
            result = api.tune(request, progress)
        Console().print(closing(result))
        if result.verified is None or not result.verified.ok:
            raise api.UserError(
                "The tuned model's outputs differ from the original's; do not use "
                f"{result.folder}/model.so."
            )


class answering:  # noqa: N801  reads as a phrase
    """Turns what may go wrong into one sentence and an exit status; ``debug`` lets it through."""

    def __init__(self, debug: bool) -> None:
        self.debug = debug
        logging.basicConfig(level=logging.DEBUG if debug else logging.ERROR)

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        from chameleon_ray.api import Stopped, UserError

        if error is None or self.debug:
            return
        if isinstance(error, Stopped | KeyboardInterrupt):
            errors.print(f"Stopped. {error}", highlight=False, soft_wrap=True)
            raise typer.Exit(INTERRUPTED) from None
        if isinstance(error, UserError):
            errors.print(f"Error: {error}", style="red", highlight=False, soft_wrap=True)
            raise typer.Exit(1) from None


@app.command(name="version")
def show_version() -> None:
    """Prints the version."""
    Console().print(__version__)


def main() -> None:
    """The ``chameleon`` command."""
    app()
    sys.exit(0)


if __name__ == "__main__":
    main()
