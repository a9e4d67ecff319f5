"""Ends a command by what its outputs turned out to be."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from chameleon_ray.answering import UNVERIFIED
from chameleon_ray.errors import UserError

if TYPE_CHECKING:
    from chameleon_ray.report.result import Verified
    from chameleon_ray.report.zoo import ZooEntry


def settle(verified: "Verified | None", library: Path) -> None:
    """Ends the command with a status of its own unless the outputs are known to be right."""
    from chameleon_ray.report.result import difference

    if said := difference(verified, library):
        raise UserError(said)
    if verified is not None and verified.outcome == "unverified":
        raise typer.Exit(UNVERIFIED)


def settle_all(entries: Sequence["ZooEntry"]) -> None:
    """Does the same for all models of a zoo."""
    problems = [f"{entry.name}: {entry.problem}" for entry in entries if entry.problem]
    if problems:
        raise UserError("\nError: ".join(problems))
    if any(entry.unverified for entry in entries):
        raise typer.Exit(UNVERIFIED)
