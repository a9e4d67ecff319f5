"""The layers that ``--only`` asks for: by any of their names, or by patterns of names."""

from collections.abc import Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase

from chameleon_ray.errors import UserError
from chameleon_ray.layer_names import short_names, title
from chameleon_ray.lowerings import by_layer
from chameleon_ray.report.format import counted
from chameleon_ray.report.layer_result import names_of, shown_name
from chameleon_ray.task import Task
from chameleon_ray.winners import LEFT_OUT

MOST_NAMES = 40
"""Most names of layers in a message."""


def left_out(only: Sequence[str], tasks: Sequence[Task]) -> dict[str, str]:
    """Returns why layers are not searched, by digest: those that ``--only`` does not ask for.

    Args:
        only: Names and patterns; all layers are asked for where there are none.
        tasks: The layers.

    Raises:
        UserError: A name or pattern is no layer's.
    """
    if not only:
        return {}
    tunable = [task for task in tasks if task.space.knobs]
    asked = {layer for text in only for layer in _layers(text, tunable)}
    return {task.digest: LEFT_OUT for task in tunable if task.layer not in asked}


def told(only: Sequence[str], tasks: Sequence[Task]) -> str:
    """Tells how many layers ``--only`` asks for."""
    layers = by_layer((task for task in tasks if task.space.knobs), lambda task: task)
    left = {task.layer for task in tasks if task.digest in left_out(only, tasks)}
    return (
        f"--only: {len(layers) - len(left)} of {counted(len(layers), 'layer')} to tune; the others "
        "keep what is known of them, or the default schedule."
    )


def _layers(text: str, tasks: Sequence[Task]) -> set[str]:
    """Returns the layers with a name, or if there is none, those whose names fit a pattern."""
    short = short_names(tasks)
    names = {
        task.digest: {*names_of(task), short[task.layer], title(task)} - {""} for task in tasks
    }
    exactly = {task.layer for task in tasks if text in names[task.digest]}
    if exactly:
        return exactly
    fitting = {
        task.layer for task in tasks if any(fnmatchcase(n, text) for n in names[task.digest])
    }
    if fitting:
        return fitting
    shown = list(dict.fromkeys(shown_name(task) for task in tasks if not task.instead))
    raise UserError(f"The model has no layer {text!r} to tune; {_known(text, shown)}.")


def _known(text: str, names: Sequence[str]) -> str:
    """Tells which layers there are, those that resemble a text first where there are many."""
    if not names:
        return "nothing in it can be tuned"
    near = get_close_matches(text, names, n=MOST_NAMES, cutoff=0.3)
    ordered = list(dict.fromkeys([*near, *names])) if len(names) > MOST_NAMES else list(names)
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return f"its layers are {', '.join(ordered[:MOST_NAMES])}{more}"
