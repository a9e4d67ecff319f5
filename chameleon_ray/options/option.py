"""The fields of ``Request`` as options, for the commands and for a zoo's file."""

from dataclasses import dataclass, field, fields
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args

KEY = "option"
"""Key of a field's ``Option`` in the field's metadata."""
T = TypeVar("T")


@dataclass(frozen=True)
class Option:
    """The properties of a field beside its type and its default.

    Attributes:
        resume: Commands, ``tune`` or ``zoo``, that are given the option again to go on with a run.
        zoo_file: Whether a zoo's file may set the option for all its models.
        least: Least value; None where there is none.
        budget: Whether the option ends the search. Where the command line has a budget, those in a
            zoo's file do not count.
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
    """Makes a dataclass's field with this default and an ``Option`` of the other arguments."""
    return field(default=default, metadata={KEY: Option(resume, zoo_file, least, budget)})


def options_of(kind: type) -> dict[str, Option]:
    """Returns the options of a dataclass by their fields' names, in the order of the fields."""
    return {one.name: one.metadata[KEY] for one in fields(kind) if KEY in one.metadata}


def zoo_file_types(kind: type) -> dict[str, tuple[type, ...]]:
    """Returns the options that a zoo's file may set, and the types of their values.

    Instead of None, the file leaves the option out. A float may be written as an integer.
    """
    known = options_of(kind)
    allowed = {one.name: one.type for one in fields(kind) if known.get(one.name, Option()).zoo_file}
    return {name: _types(annotation) for name, annotation in allowed.items()}


def least_values(kind: type) -> dict[str, float]:
    """Returns the least value of every option that has one."""
    known = options_of(kind).items()
    return {name: option.least for name, option in known if option.least is not None}


def repeated(request: Any, command: str) -> list[str]:
    """Returns the arguments that repeat a request's options where they are not the defaults."""
    words = []
    for one in fields(request):
        value = getattr(request, one.name)
        if command not in one.metadata.get(KEY, Option()).resume or value == one.default:
            continue
        name = f"--{one.name.replace('_', '-')}"
        if value == ():  # and by default there are some
            words.append(f"--no-{name[2:]}")
        for each in value if isinstance(value, tuple) else (value,):
            flag = isinstance(each, bool)
            words += (
                [name if each is True else f"--no-{name[2:]}"] if flag else [name, _number(each)]
            )
    return words


def _number(value: Any) -> str:
    """Writes an option's value as people type it: ``2`` and not ``2.0``."""
    return f"{value:g}" if isinstance(value, float) and value == float(f"{value:g}") else str(value)


def typed(request: Any, command: str) -> list[str]:
    """Returns the whole command, as words, that makes a request; a directory is not in it."""
    words = ["chameleon", command, request.model]
    words += ["--memory-aware"] if request.memory_aware else []
    for option_name, values in (
        ("--input", request.inputs),
        ("--example", request.examples),
        ("--warm-start", request.warm_start),
    ):
        words += [word for value in values for word in (option_name, str(value))]
    return words + repeated(request, command)


def _types(annotation: Any) -> tuple[type, ...]:
    parts = get_args(annotation) if isinstance(annotation, UnionType) else (annotation,)
    found = tuple(part for part in parts if part is not NoneType)
    return (*found, int) if float in found else found
