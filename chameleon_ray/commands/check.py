"""``chameleon check``: fails where a finished run's library, or a lock's, has become slower."""

from pathlib import Path
from typing import Annotated

import typer

from chameleon_ray.answering import SLOWER
from chameleon_ray.commands.arguments import Examples, Inputs, Json, share_of
from chameleon_ray.commands.bench import RUN
from chameleon_ray.commands.screen import print_json, screen, tell
from chameleon_ray.errors import UserError
from chameleon_ray.run_files import runs_of
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
    pairs: Annotated[
        int, typer.Option(min=10, help="Most pairs of processes that time both.")
    ] = 30,
    json: Json = False,
) -> None:
    """Times a finished run's library, or one that a lock gives, in turns with a baseline's.

    Examples: chameleon check runs/resnet --baseline runs/before --fail-if-slower 5%
    """
    from chameleon_ray import api
    from chameleon_ray.options import Checking
    from chameleon_ray.report.slowdown import markdown, plain

    options = Checking(pairs=pairs)
    for path in filter(None, (None if run.is_file() else run, baseline)):
        if told := warning(Path(path), RUN, "runs its native code"):
            tell(told)
    demand(run, model)
    checked = {}
    for part in runs_of(run):
        if model is None:
            before = baseline if baseline is None else _alike(baseline, part, run)
            checked[str(part)] = found = api.check(part, before, fail_if_slower, options)
        else:
            about = (run, model, inputs, examples, baseline)
            found = api.check_lock(*about, fail_if_slower, options)
            checked[str(run)] = found
        if not json:
            screen.print(markdown(str(part), found, fail_if_slower), soft_wrap=True, markup=False)
    if json:
        rows = {part: plain(one, fail_if_slower) for part, one in checked.items()}
        print_json(rows if len(rows) > 1 else next(iter(rows.values())))
    if any(one.reaches(fail_if_slower) for one in checked.values()):
        raise typer.Exit(SLOWER)


def _alike(baseline: Path, part: Path, run: Path) -> Path:
    """Returns the baseline's bucket for one of a run, where both have buckets."""
    return baseline / part.relative_to(run) if part != run and runs_of(baseline)[1:] else baseline


def demand(run: Path, model: str | None) -> None:
    """Demands that a lock, and no run, comes with its model.

    Raises:
        UserError: It does not.
    """
    if run.is_file() and model is None:
        raise UserError(f"{run} is a file; give the lock's model, too: chameleon check {run} MODEL")
    if run.is_dir() and model is not None:
        raise UserError(f"{run} is a run, which has its model; leave out {model}.")
