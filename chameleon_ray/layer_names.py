"""What layers are called: after the modules or nodes of the user's model that they come from."""

from collections import Counter
from collections.abc import Iterable, Sequence

from chameleon_ray.printable import on_one_line
from chameleon_ray.task import Task

LONGEST = 80
"""Most characters of a name in a title."""
SHORT = 26
"""Most characters of a short name: a table of 80 columns has room for so many."""
CUT = ".."
"""What takes the place of the characters that a name is shortened by."""


def title(task: Task) -> str:
    """Returns a layer's name and what it does, for people.

    It is the name of the layer's first occurrence, how many more there are, and what is computed:
    ``layer4.1.conv2 (+2 more) · conv 3x3/1 512→512 @7x7 + add + relu``. A layer of which nothing is
    known is called as the compiler calls it.
    """
    own = next((name for name in task.nodes if name), "")
    parts = [shortened(on_one_line(own), LONGEST) + _more(task, " more)", " (+")] if own else []
    return " · ".join([*parts, on_one_line(task.what)]) if task.what else (parts or [task.name])[0]


def short_names(tasks: Iterable[Task], width: int = SHORT) -> dict[str, str]:
    """Returns a short name for each layer, by ``Task.layer``; no two are equal.

    Args:
        tasks: Tasks of one table; the lowerings of a layer have one name.
        width: Most characters of a name.
    """
    layers = {task.layer: task for task in reversed([*tasks])}
    names = {layer: own_name(task) for layer, task in reversed(layers.items())}
    count = Counter(names.values())
    taken: set[str] = set()
    found = {}
    for layer, name in names.items():
        task = layers[layer]
        kind = task.what.partition(" ")[0] if count[name] > 1 else ""
        found[layer] = _free(name, f" {kind}" if kind else "", _more(task), width, taken)
        taken.add(found[layer])
    return found


def shortened(name: str, width: int) -> str:
    """Cuts a name at its front, after a dot or slash where one is near, as names differ at the end.

    The result has at most ``width`` characters.
    """
    if len(name) <= width:
        return name
    kept = name[-(width - len(CUT)) :]
    places = [kept.find(mark) for mark in "./" if 0 <= kept.find(mark) < len(kept) // 2]
    return CUT + kept[min(places, default=-1) + 1 :]


def own_name(task: Task) -> str:
    """Returns the name of a layer's first occurrence, what it computes, or else its inner name."""
    own = next((name for name in task.nodes if name), "")
    return on_one_line(own) or on_one_line(task.what) or task.name


def _more(task: Task, after: str = "", before: str = " +") -> str:
    others = len(task.nodes) - 1
    return f"{before}{others}{after}" if others > 0 else ""


def _free(name: str, kind: str, more: str, width: int, taken: Sequence[str] | set[str]) -> str:
    """Returns the first form of a name that is not taken, a number added where there has to be."""
    number = 1
    while True:
        mark = f" #{number}" if number > 1 else ""
        rest = f"{kind}{mark}{more}"
        rest = rest if len(rest) < width - len(CUT) else f"{mark}{more}"
        found = shortened(name, width - len(rest)) + rest
        if found not in taken:
            return found
        number += 1
