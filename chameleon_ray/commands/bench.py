"""``chameleon bench``: times a finished run's model."""

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from chameleon_ray.commands.arguments import Json, NoCompare, Run
from chameleon_ray.commands.choosing import Compare
from chameleon_ray.commands.screen import message, print_json, tell
from chameleon_ray.options.comparing import FRAMEWORKS
from chameleon_ray.trust import warning

RUN = ("run.json", "model.so", "untuned.so")
"""Files that are read and executed."""


def bench(
    run: Run,
    repeats: Annotated[int, typer.Option(min=2, help="Turns of each, of a slow one fewer.")] = 20,
    compare: Compare = list(FRAMEWORKS),  # noqa: B006
    no_compare: NoCompare = False,
    json: Json = False,
) -> None:
    """Times a finished run's model in turns with other frameworks, and with untuned TVM.

    Examples: chameleon bench runs/resnet; chameleon bench runs/resnet --compare torch.compile
    """
    from chameleon_ray import api
    from chameleon_ray.options import Confirming
    from chameleon_ray.run_files import runs_of

    names = () if no_compare else tuple(compare)
    options, timed = Confirming(model_repeats=repeats, model_seconds=60), {}
    parts = runs_of(Path(run))
    for part in parts:
        if told := warning(part, RUN, "runs its native code"):
            tell(told)
        timed[part.name] = found = api.bench(part, options, names)
        if not json:
            message(Text(f"{part.name}: {found.text}" if parts[1:] else found.text))
            message(Text(" ".join(found.notes)))
    if json:
        print_json({n: one.plain for n, one in timed.items()} if parts[1:] else found.plain)
