"""``chameleon watch``: follows a run that is under way."""

import json as strict
import time

import typer

from chameleon_ray.answering import answering
from chameleon_ray.commands.arguments import AnyRun, Debug, Json
from chameleon_ray.commands.screen import plain, screen, tell

PAUSE = 0.5
"""Seconds between two looks at the log."""


def watch(run: AnyRun, json: Json = False, debug: Debug = False) -> None:
    """Follows a live run from its log until it ends; the run is not touched.

    Exit status: 0 if the run ended well, 1 if it failed, was stopped, or its process is gone.
    With --json each line is an event, as in log.jsonl.

    Examples: chameleon watch runs/resnet; chameleon watch runs/resnet --json | jq .event
    """
    with answering(debug):
        from chameleon_ray.report.live_table import watching
        from chameleon_ray.runs.watching import WELL, Watch

        watched = Watch(run)
        earlier = watched.read()
        if json:
            plain(strict.dumps(event.body) for event in earlier)
            while watched.goes_on:
                time.sleep(PAUSE)
                plain(strict.dumps(event.body) for event in watched.read())
        else:
            with watching(watched.progress, screen):
                while watched.goes_on:
                    time.sleep(PAUSE)
                    watched.read()
        ended = watched.end()
        tell(watched.told(ended))
        if ended.state not in WELL:
            raise typer.Exit(1)
