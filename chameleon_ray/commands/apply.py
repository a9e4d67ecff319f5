"""``chameleon apply``: compiles a model with the winners of a finished run."""

from pathlib import Path

import typer

from chameleon_ray.answering import UNVERIFIED, answering
from chameleon_ray.commands.arguments import Debug, Examples, Inputs, Model, Run, Store
from chameleon_ray.commands.screen import screen, tell
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
    debug: Debug = False,
) -> None:
    """Compiles a model with the winners of a finished run, and verifies it.

    Exit status: as that of tune.
    """
    with answering(debug):
        from chameleon_ray import api
        from chameleon_ray.report.launching import sentence
        from chameleon_ray.report.loading import needs

        if told := warning(Path(run), READ, "compiles, writes and runs libraries there"):
            tell(told)
        done = api.apply(run, model, tuple(inputs), tuple(examples), store, tell)
        tuned = f"{done.library}: {done.applied} of {done.layers} layers tuned"
        for need in needs(done.needs):
            screen.print(need, markup=False)
        if done.verified is None:
            screen.print(f"{tuned}, not verified, as there is no device here to run it on.")
            raise typer.Exit(UNVERIFIED)
        against = f"verified against {done.verified.against}"
        if not done.verified.independent:
            against = f"not verified, compared with {done.verified.against} only"
        if done.verified.ok:
            screen.print(f"{tuned}, {against} ({done.verified.errors}).")
        if done.launching is not None:
            screen.print(sentence(done.launching), markup=False)
        settle(done.verified, done.library)
