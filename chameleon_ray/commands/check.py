"""``chameleon check``: fails where a finished run's library, or a lock's, has become slower."""

from pathlib import Path
from typing import Annotated

import typer

from chameleon_ray.answering import SLOWER
from chameleon_ray.commands.arguments import Examples, Inputs, Json, share_of
from chameleon_ray.commands.bench import RUN
from chameleon_ray.commands.screen import print_json, screen, tell
from chameleon_ray.errors import UserError
from chameleon_ray.trust import warning


def check(
    run: Annotated[Path, typer.Argument(help="A finished run's directory, or a lock.")],
    model: Annotated[str | None, typer.Argument(help="The model of a lock.")] = None,
    inputs: Inputs = [],  # noqa: B006
    examples: Examples = [],  # noqa: B006
    baseline: Annotated[
        Path | None, typer.Option(help="A run to compare with; else what was recorded.")
    ] = None,
    fail_if_slower: Annotated[
        float, typer.Option(parser=share_of, metavar="PERCENT", help="Slowdown that fails.")
    ] = "5%",  # type: ignore[assignment]
    turns: Annotated[int, typer.Option(min=12, help="Timings of each library.")] = 40,
    json: Json = False,
) -> None:
    """Times a finished run's library, or one that a lock gives, in turns with a baseline's.

    Examples: chameleon check runs/resnet --baseline runs/before --fail-if-slower 5%
    """
    from chameleon_ray import api
    from chameleon_ray.options import Confirming
    from chameleon_ray.report.slowdown import markdown, plain

    options = Confirming(model_repeats=turns, model_seconds=120)
    for path in filter(None, (None if run.is_file() else run, baseline)):
        if told := warning(Path(path), RUN, "runs its native code"):
            tell(told)
    demand(run, model)
    if model is None:
        found = api.check(run, baseline, options)
    else:
        found = api.check_lock(run, model, inputs, examples, baseline, options)
    if json:
        print_json(plain(found, fail_if_slower))
    else:
        screen.print(markdown(str(run), found, fail_if_slower), soft_wrap=True, markup=False)
    if found.reaches(fail_if_slower):
        raise typer.Exit(SLOWER)


def demand(run: Path, model: str | None) -> None:
    """Demands that a lock, and no run, comes with its model.

    Raises:
        UserError: It does not.
    """
    if run.is_file() and model is None:
        raise UserError(f"{run} is a file; give the lock's model, too: chameleon check {run} MODEL")
    if run.is_dir() and model is not None:
        raise UserError(f"{run} is a run, which has its model; leave out {model}.")
