"""``chameleon check``: fails where a finished run's library has become slower."""

from pathlib import Path
from typing import Annotated

import typer

from chameleon_ray.answering import SLOWER
from chameleon_ray.commands.arguments import Json, Run, share_of
from chameleon_ray.commands.bench import RUN
from chameleon_ray.commands.screen import print_json, screen, tell
from chameleon_ray.trust import warning


def check(
    run: Run,
    baseline: Annotated[
        Path | None, typer.Option(help="A run to compare with; else this run's own record.")
    ] = None,
    fail_if_slower: Annotated[
        float, typer.Option(parser=share_of, metavar="PERCENT", help="Slowdown that fails.")
    ] = "5%",  # type: ignore[assignment]
    turns: Annotated[int, typer.Option(min=12, help="Timings of each library.")] = 40,
    json: Json = False,
) -> None:
    """Times a finished run's library in turns with a baseline's; status 4 where it is slower.

    Examples: chameleon check runs/resnet --baseline runs/before --fail-if-slower 5%
    """
    from chameleon_ray import api
    from chameleon_ray.options import Confirming
    from chameleon_ray.report.slowdown import markdown, plain

    for path in filter(None, (run, baseline)):
        if told := warning(Path(path), RUN, "runs its native code"):
            tell(told)
    found = api.check(run, baseline, Confirming(model_repeats=turns, model_seconds=120))
    if json:
        print_json(plain(found, fail_if_slower))
    else:
        screen.print(markdown(str(run), found, fail_if_slower), soft_wrap=True, markup=False)
    if found.reaches(fail_if_slower):
        raise typer.Exit(SLOWER)
