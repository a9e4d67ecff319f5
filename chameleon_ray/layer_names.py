"""What layers are called: after the modules or nodes of the user's model that they come from."""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import chain, count

from chameleon_ray.printable import on_one_line
from chameleon_ray.task import Task

LONGEST = 80
"""Most characters of a name in a title."""
SHORT = 26
"""Most characters of a short name: a table of 80 columns has room for so many."""
OF = ":"
"""What is between the name of a model and that of a layer in it."""
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

    Of several layers of one module, the one with most operations has its name alone, and the others
    what they compute, too. So has a name without letters, as modules of ``torch.nn.Sequential``.

    Args:
        tasks: Tasks of one table; the lowerings of a layer have one name.
        width: Most characters of a name.
    """
    layers: dict[str, Task] = {}
    for task in tasks:
        layers.setdefault(task.layer, task)
    room = width - max((len(_more(task)) for task in layers.values()), default=0)
    cut = Counter(shortened(name, room) for name in {own_name(t) for t in layers.values()})
    known: set[str] = set()
    found: dict[str, str] = {}
    for layer, task in sorted(layers.items(), key=lambda pair: -pair[1].flop):
        name = own_name(task)
        bare = name in known or not any(map(str.isalpha, name))
        kind = f" {task.what.partition(' ')[0]}" if bare and task.what else ""
        known.add(name)
        cutting = shortened if cut[shortened(name, room)] == 1 else abbreviated
        forms = (
            _fitted(name, (kind, mark, _more(task)), width, cutting)
            for mark in chain([""], (f" #{number}" for number in count(2)))
        )
        found[layer] = next(form for form in forms if form not in found.values())
    return found


def shortened(name: str, width: int) -> str:
    """Cuts a name at its front, after a dot or slash where one is near, as names differ at the end.

    The name of a model before it is kept. The result has at most ``width`` characters.
    """
    if len(name) <= width:
        return name
    model, mark, own = name.partition(OF)
    if mark and len(model) < width // 2:
        return f"{model}{OF}{shortened(own, width - len(model) - len(OF))}"
    kept = name[-(width - len(CUT)) :]
    places = [kept.find(mark) for mark in "./" if 0 <= kept.find(mark) < len(kept) // 2]
    return CUT + kept[min(places, default=-1) + 1 :]


def abbreviated(name: str, width: int) -> str:
    """Cuts the parts of a path to their first letters and numbers, from its front, until it fits.

    ``encoder.layer.3.attention.output.dense`` becomes ``e.l.3.a.output.dense``.
    """
    parts = re.split("([./:])", name)
    for place in range(0, len(parts) - 1, 2):
        if len("".join(parts)) <= width:
            break
        parts[place] = re.sub(r"(?<=.)\D", "", parts[place])
    return shortened("".join(parts), width)


def of_model(model: str, tasks: Iterable[Task]) -> tuple[Task, ...]:
    """Returns tasks whose names tell the model that they are of; it has no name where it is alone.

    They are called as in ``resnet-18:layer4.1.conv2``.
    """
    if not model:
        return tuple(tasks)
    return tuple(
        replace(task, nodes=tuple(f"{model}{OF}{name}" if name else model for name in task.nodes))
        for task in tasks
    )


def own_name(task: Task) -> str:
    """Returns the name of a layer's first occurrence, what it computes, or else its inner name."""
    own = next((name for name in task.nodes if name), "")
    return on_one_line(own) or on_one_line(task.what) or task.name


def _more(task: Task, after: str = "", before: str = " +") -> str:
    others = len(task.nodes) - 1
    return f"{before}{others}{after}" if others > 0 else ""


def _fitted(
    name: str, ends: tuple[str, ...], width: int, cutting: Callable[[str, int], str]
) -> str:
    """Cuts a name so that it fits with what follows it, of which the first may be left out."""
    rest = "".join(ends)
    rest = rest if 3 * len(rest) <= 2 * width else "".join(ends[1:])
    return cutting(name, width - len(rest)) + rest
