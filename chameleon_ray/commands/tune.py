"""``chameleon tune``: tunes one model."""

from typing import Annotated

import typer

from chameleon_ray.answering import answering, errors
from chameleon_ray.commands.arguments import (
    LEAST,
    Address,
    Aware,
    BuildOnly,
    Debug,
    Engine,
    Examples,
    Inputs,
    Layout,
    Locked,
    Minutes,
    Model,
    Name,
    Only,
    Precision,
    Refresh,
    Store,
    Target,
    Template,
    Threads,
    Trials,
    Until,
    Vendor,
    WarmStart,
)
from chameleon_ray.commands.screen import screen, tell
from chameleon_ray.commands.settling import settle
from chameleon_ray.options import Request


def tune(
    model: Model,
    inputs: Inputs = [],  # noqa: B006
    examples: Examples = [],  # noqa: B006
    target: Target = "llvm",
    trials: Trials = None,
    minutes: Minutes = None,
    until: Until = None,
    preset: Annotated[str, typer.Option(help="The search system.")] = "chameleon",
    explorer: Name = None,
    sampler: Name = None,
    cost_model: Name = None,
    template: Template = [],  # noqa: B006
    seed: Annotated[int, typer.Option(min=LEAST["seed"])] = 0,
    out: Annotated[str | None, typer.Option(help="The run directory; else a new one.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
    warm_start: WarmStart = [],  # noqa: B006
    store: Store = None,
    locked: Locked = None,
    only: Only = [],  # noqa: B006
    refresh: Refresh = False,
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
        settle(result.verified, result.folder / "model.so")


def _build(request: Request, debug: bool) -> None:
    """Compiles configurations without timing them."""
    with answering(debug):
        from chameleon_ray import api
        from chameleon_ray.report.builds import shown

        for part in shown(api.build(request, tell)):
            screen.print(part)
