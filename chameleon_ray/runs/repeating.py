"""The command that makes a run again, or goes on with it."""

import shlex
from dataclasses import fields

from chameleon_ray.options import Request, typed
from chameleon_ray.runs.facts import Facts
from chameleon_ray.runs.kept_run import KeptRun


def command(run: KeptRun) -> str:
    """Returns the command that makes a run again, in a directory of its own; empty if unknown."""
    return shlex.join(_words(run))


def going_on(run: KeptRun) -> str:
    """Returns the command that goes on with a run where it was left; empty if unknown."""
    words = _words(run)
    return shlex.join([*words, "--out", str(run.path), "--resume"]) if words else ""


def _words(run: KeptRun) -> list[str]:
    request = _request(run.identity)
    bucketed = request is not None and any("{" in text for text in request.inputs)
    name = "zoo" if run.holds == "zoo" and not bucketed else "tune"
    return [] if request is None else typed(request, name)


def _request(identity: Facts) -> Request | None:
    """Returns the request as far as a command line has its options; None where it is unknown."""
    options = identity.items("options")
    if not isinstance(options.get("model"), str):
        return None
    kept = {}
    for one in fields(Request):
        value = options.get(one.name)
        if isinstance(value, list):
            value = tuple(map(str, value))
        if one.name in options and isinstance(value, str | int | float | tuple | None):
            kept[one.name] = value
    return Request(**kept)  # type: ignore[arg-type]
