"""``chameleon bench``: times a finished run's model."""

from pathlib import Path
from typing import Annotated

import typer

from chameleon_ray.answering import answering
from chameleon_ray.commands.arguments import Debug, Run
from chameleon_ray.commands.screen import screen, tell
from chameleon_ray.trust import warning

RUN = ("run.json", "model.so", "untuned.so")
"""Files that are read and executed."""


def bench(
    run: Run,
    repeats: Annotated[int, typer.Option(min=2, help="Timings of each library.")] = 20,
    debug: Debug = False,
) -> None:
    """Times a finished run's model, untuned and tuned in turns."""
    with answering(debug):
        from chameleon_ray import api
        from chameleon_ray.options import Confirming

        if told := warning(Path(run), RUN, "runs its native code"):
            tell(told)
        untuned, tuned = api.bench(run, Confirming(model_repeats=repeats, model_seconds=60))
        for name, latency in (("untuned", untuned), ("tuned", tuned)):
            screen.print(
                f"{name:8} {1e3 * latency.seconds:9.3f} ms (spread {1e3 * latency.spread:.3f} ms)"
            )
        screen.print(f"{untuned.seconds / tuned.seconds:.1f} times as fast")
