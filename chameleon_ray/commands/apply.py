"""``chameleon apply``: compiles a model with the winners of a finished run."""

from pathlib import Path

import typer

from chameleon_ray.answering import UNVERIFIED
from chameleon_ray.commands.arguments import Examples, Inputs, Json, Run, Store
from chameleon_ray.commands.choosing import Model
from chameleon_ray.commands.screen import print_json, screen, tell
from chameleon_ray.commands.settling import settle
from chameleon_ray.trust import warning

READ = ("run.json", "winners.json")
"""Files that decide how the model is compiled."""


def apply(
    run: Run,
    model: Model,
    inputs: Inputs = [],  # noqa: B006
    examples: Examples = [],  # noqa: B006
    store: Store = None,
    json: Json = False,
) -> None:
    """Compiles a model with the winners of a finished run, and verifies it.

    Examples: chameleon apply runs/resnet resnet-18; chameleon apply runs/resnet other.onnx
    """
    from chameleon_ray import api
    from chameleon_ray.report.applied import plain, told

    if trust := warning(Path(run), READ, "compiles, writes and runs libraries there"):
        tell(trust)
    done = api.apply(run, model, tuple(inputs), tuple(examples), store, tell)
    if json:
        print_json(plain(done))
    else:
        for line in told(done):
            screen.print(line, markup=False)
    if done.verified is None:
        raise typer.Exit(UNVERIFIED)
    settle(done.verified, done.library)
