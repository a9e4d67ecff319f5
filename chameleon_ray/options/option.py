"""A field of ``Request`` as an option: what the commands and a zoo's file have to know of it."""

from dataclasses import dataclass, field, fields
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args

KEY = "option"
"""Where a field's metadata has its ``Option``."""
T = TypeVar("T")


@dataclass(frozen=True)
class Option:
    """What a field says of itself beside its type and its default.

    Attributes:
        resume: Commands, ``tune`` or ``zoo``, that are given it again to go on with a run.
        zoo_file: Whether a zoo's file may set it for all its models.
        least: The least value; None where there is none.
        budget: Whether it ends the search. One that is given on the command line goes before
            all that a zoo's file has.
    """

    resume: tuple[str, ...] = ()
    zoo_file: bool = False
    least: float | None = None
    budget: bool = False


def option(
    default: T,
    resume: tuple[str, ...] = (),
    zoo_file: bool = False,
    least: float | None = None,
    budget: bool = False,
) -> T:
    """A dataclass's field with this default and the ``Option`` of these arguments."""
    return field(default=default, metadata={KEY: Option(resume, zoo_file, least, budget)})


def options_of(kind: type) -> dict[str, Option]:
    """The fields of a dataclass that are options, in their order."""
    return {one.name: one.metadata[KEY] for one in fields(kind) if KEY in one.metadata}


def zoo_file_types(kind: type) -> dict[str, tuple[type, ...]]:
    """The options that a zoo's file may set, and what a value of each is an instance of.

    A field that may be None is left out of the file instead; a float may be written as an integer.
    """
    known = options_of(kind)
    allowed = {one.name: one.type for one in fields(kind) if known.get(one.name, Option()).zoo_file}
    return {name: _types(annotation) for name, annotation in allowed.items()}


def least_values(kind: type) -> dict[str, float]:
    """The options that have a least value, and that value."""
    known = options_of(kind).items()
    return {name: option.least for name, option in known if option.least is not None}


def repeated(request: Any, command: str) -> list[str]:
    """The part of a command line that repeats what was asked for, where it is not the default."""
    words = []
    for one in fields(request):
        value = getattr(request, one.name)
        if command not in one.metadata.get(KEY, Option()).resume or value == one.default:
            continue
        name = f"--{one.name.replace('_', '-')}"
        for each in value if isinstance(value, tuple) else (value,):
            words += [name] if each is True else [name, str(each)]
    return words


def _types(annotation: Any) -> tuple[type, ...]:
    parts = get_args(annotation) if isinstance(annotation, UnionType) else (annotation,)
    found = tuple(part for part in parts if part is not NoneType)
    return (*found, int) if float in found else found
