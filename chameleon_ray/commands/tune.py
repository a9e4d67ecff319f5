"""``chameleon tune``: tunes one model."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from chameleon_ray.commands.arguments import (
    LEAST,
    Address,
    Aware,
    BuildOnly,
    Examples,
    Inputs,
    Instances,
    Json,
    Locked,
    Minutes,
    NoCompare,
    Only,
    Refresh,
    Store,
    Template,
    Tensorboard,
    Threads,
    Trials,
    Until,
    Vendor,
    WarmStart,
)
from chameleon_ray.commands.choosing import (
    Compare,
    CostModel,
    Engine,
    Explorer,
    Layout,
    Model,
    Precision,
    Preset,
    Sampler,
    Target,
)
from chameleon_ray.commands.screen import followed, message, print_json, screen, tell
from chameleon_ray.commands.settling import settle, settle_all
from chameleon_ray.commands.zoo import tuned_together
from chameleon_ray.options import Request
from chameleon_ray.options.buckets import is_bucketed
from chameleon_ray.options.comparing import FRAMEWORKS

if TYPE_CHECKING:
    from chameleon_ray.report.zoo import ZooResult


def tune(
    model: Model,
    inputs: Inputs = [],  # noqa: B006
    examples: Examples = [],  # noqa: B006
    target: Target = "llvm",
    trials: Trials = None,
    minutes: Minutes = None,
    until: Until = None,
    preset: Preset = "chameleon",
    explorer: Explorer = None,
    sampler: Sampler = None,
    cost_model: CostModel = None,
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
    instances: Instances = 1,
    layout: Layout = "auto",
    precision: Precision = "float32",
    memory_aware: Aware = False,
    vendor: Vendor = True,
    build_only: BuildOnly = False,
    compare: Compare = list(FRAMEWORKS),  # noqa: B006
    no_compare: NoCompare = False,
    engine: Engine = "ray",
    tensorboard: Tensorboard = None,
    json: Json = False,
) -> None:
    """Tunes a model and writes the compiled, verified result to the run directory.

    Examples: chameleon tune resnet-18 --minutes 3; chameleon tune net.onnx --json | jq .comparison
    """
    asked = {n: tuple(v) if isinstance(v, list) else v for n, v in locals().items()}
    request = _request(asked)
    does = _build if build_only else _tune_buckets if is_bucketed(request.inputs) else _tune
    does(request, json)


def _request(asked: dict[str, Any]) -> Request:
    """Makes a request of the command line."""
    fields = {name: value for name, value in asked.items() if name not in ("json", "no_compare")}
    return Request(**fields | ({"compare": ()} if asked["no_compare"] else {}))


def _tune(request: Request, json: bool) -> None:
    from chameleon_ray.report.progress import Progress

    progress = Progress()
    with followed(progress):
        from chameleon_ray import api
        from chameleon_ray.report.console import final_message
        from chameleon_ray.report.summary import summary

        result = api.tune(request, progress)
    if json:
        print_json(summary(result))
    else:
        message(final_message(result))
    settle(result.verified, result.folder / "model.so")


def _tune_buckets(request: Request, json: bool) -> None:
    """Tunes one library for several shapes."""
    from chameleon_ray.report.progress import Progress

    progress = Progress()

    def tune_buckets() -> "ZooResult":
        from chameleon_ray import api  # which takes a second, while the screen follows

        return api.tune_buckets(request, progress)

    settle_all(tuned_together(progress, tune_buckets, json))


def _build(request: Request, json: bool) -> None:
    """Compiles configurations without timing them."""
    from chameleon_ray import api
    from chameleon_ray.report.builds import figures, shown

    done = api.build(request, tell)
    if json:
        print_json(figures(done))
        return
    for part in shown(done):
        screen.print(part)
