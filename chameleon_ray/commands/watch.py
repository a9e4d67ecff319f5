"""``chameleon watch``: follows a run that is under way."""

import json as lines
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

import typer

from chameleon_ray.commands.arguments import AnyRun, Json
from chameleon_ray.commands.screen import followed, plain, tell

if TYPE_CHECKING:
    from chameleon_ray.runs.facts import Facts

PAUSE = 0.5
"""Seconds between two looks at the log."""


def watch(run: AnyRun, json: Json = False) -> None:
    """Follows a live run from its log until it ends; the run is not touched.

    Exit status: 0 if the run ended well, 1 if it failed, was stopped, or its process is gone.
    With --json each line is an event, as in log.jsonl.

    Examples: chameleon watch runs/resnet; chameleon watch runs/resnet --json | jq .event
    """
    from chameleon_ray.runs.watching import WELL, Watch

    watched = Watch(run)
    earlier = watched.read()
    if json:
        _print(earlier)
        while watched.goes_on:
            time.sleep(PAUSE)
            _print(watched.read())
    else:
        with followed(watched.progress):
            while watched.goes_on:
                time.sleep(PAUSE)
                watched.read()
    ended = watched.end()
    told = watched.told(ended)
    tell(told) if json else plain([told])
    if ended.state not in WELL:
        raise typer.Exit(1)


def _print(events: Iterable["Facts"]) -> None:
    from chameleon_ray.report.strict_json import strict

    plain(lines.dumps(strict(event.body), allow_nan=False) for event in events)
