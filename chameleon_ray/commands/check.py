"""``chameleon check``: fails where a finished run's library has become slower."""

import json
from pathlib import Path
from typing import Annotated

import typer

from chameleon_ray.answering import SLOWER, answering
from chameleon_ray.commands.arguments import Debug, Run, share_of
from chameleon_ray.commands.bench import RUN
from chameleon_ray.commands.screen import screen, tell
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
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, not Markdown.")] = False,
    debug: Debug = False,
) -> None:
    """Times a finished run's library in turns with a baseline's.

    Exit status: 0 if it is not slower, 4 if it is, 1 if anything went wrong.
    """
    with answering(debug):
        from chameleon_ray import api
        from chameleon_ray.options import Confirming
        from chameleon_ray.report.slowdown import markdown, plain

        for path in filter(None, (run, baseline)):
            if told := warning(Path(path), RUN, "runs its native code"):
                tell(told)
        found = api.check(run, baseline, Confirming(model_repeats=turns, model_seconds=120))
        if as_json:
            screen.print_json(json.dumps(plain(found, fail_if_slower)))
        else:
            screen.print(markdown(str(run), found, fail_if_slower), soft_wrap=True, markup=False)
        if found.reaches(fail_if_slower):
            raise typer.Exit(SLOWER)
