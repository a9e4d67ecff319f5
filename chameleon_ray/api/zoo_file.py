"""Reads and writes a zoo's file, which lists models in YAML; a mistake is told in a sentence."""

import json
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from chameleon_ray.compiler.kinds import kind_of
from chameleon_ray.compiler.target import TargetError
from chameleon_ray.errors import UserError
from chameleon_ray.folder import directory_name
from chameleon_ray.measure.cores import threads
from chameleon_ray.options import (
    Member,
    Request,
    Zoo,
    least_values,
    options_of,
    zoo_file_types,
)

COMMON = zoo_file_types(Request)
"""Options that the file may set for all models, and the types of their values."""
LEAST = least_values(Request)
"""Least value of each option that has one."""
BUDGET = [name for name, option in options_of(Request).items() if option.budget]
"""Options of the budget; one of them on the command line replaces all of the file's."""
OWN: dict[str, tuple[type, ...]] = {
    "model": (str,),
    "name": (str,),
    "weight": (int, float),
    "inputs": (list,),
    "examples": (list,),
}
"""Keys that the file may give one model, and the types of their values."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
"""Pattern of the name of a model's directory, which must stay below the zoo's."""


def read_zoo(path: Path, request: Request) -> Zoo:
    """Reads a zoo's file.

    Args:
        path: The file; models in it are looked for from the working directory.
        request: Request of the command line, without a model. Its budget replaces the file's.

    Raises:
        UserError: The file cannot be read, or something in it is not understood.
    """
    try:
        body = _mapping(_parsed(path), "the file", {"models", "targets", *COMMON})
        if body.get("threads") == "all":
            body["threads"] = threads("all")
        common = {key: _typed(key, body[key], COMMON[key]) for key in COMMON if key in body}
        if any(getattr(request, name) is not None for name in BUDGET):
            common = {key: value for key, value in common.items() if key not in BUDGET}
        targets = _targets(body.get("targets", [request.target]))
        common["target"] = next(iter(targets.values()))  # all are of one kind
        whole = replace(request, model="", **common)
        return Zoo(path, whole, _members(body, whole, targets))
    except ValueError as error:
        raise UserError(f"{path}: {error}.") from error


def write_zoo(path: Path, models: Sequence[Mapping[str, Any]]) -> None:
    """Writes a zoo's file with these models, each as a mapping of the file's keys to plain values.

    Raises:
        UserError: The file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump({"models": [*models]}, sort_keys=False), encoding="utf-8")
    except OSError as error:
        raise UserError(f"Cannot write {path}: {error.strerror}.") from error


def _parsed(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}; give a zoo's file.") from error
    except UnicodeDecodeError:
        raise ValueError("it is not a text file") from None
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark is not None else ""
        problem = getattr(error, "problem", None) or "it cannot be parsed"
        raise ValueError(f"it is not YAML{where}: {problem}") from None


def _members(
    body: Mapping[str, Any], whole: Request, targets: Mapping[str, str]
) -> tuple[Member, ...]:
    """Returns a member for every model on every target.

    Raises:
        ValueError: The list of models is wrong; the text says how.
    """
    listed = body.get("models")
    if not isinstance(listed, list) or not listed:
        raise ValueError("'models' must be a list of at least one model")
    members = [_member(entry, whole, targets, place) for place in targets for entry in listed]
    twice, count = Counter(member.name for member in members).most_common(1)[0]
    if count > 1:
        raise ValueError(f"{count} models are named {twice!r}; give each a 'name' of its own")
    return tuple(members)


def _targets(listed: Any) -> dict[str, str]:
    """Returns the targets by name; those of a list are named after their kinds.

    Raises:
        ValueError: The list of targets is wrong; the text says how.
    """
    if isinstance(listed, Mapping):
        named = [(str(name), target) for name, target in listed.items()]
    elif isinstance(listed, list):
        named = [(_kind(target), target) for target in listed]
    else:
        raise ValueError("'targets' must be a list, or a mapping of names to targets")
    if not named or not all(isinstance(target, str) for _, target in named):
        raise ValueError("'targets' must hold at least one, each a text such as llvm")
    if len(dict(named)) < len(named):
        raise ValueError("'targets' has two of one kind; make it a mapping of names to targets")
    try:
        kinds = {kind_of(target).name for _, target in named}
    except TargetError as error:
        raise ValueError(str(error).removesuffix(".")) from error
    if len(kinds) > 1:
        raise ValueError("'targets' has CPUs and GPUs; give each kind a zoo of its own")
    return dict(named)


def _kind(target: Any) -> str:
    try:
        return str(json.loads(target)["kind"])
    except (ValueError, KeyError, TypeError):
        return str(target).partition(":")[0]


def _member(entry: Any, whole: Request, targets: Mapping[str, str], place: str) -> Member:
    own = _mapping({"model": entry} if isinstance(entry, str) else entry, "a model", set(OWN))
    if "model" not in own:
        raise ValueError("a model lacks 'model', its name, file or package.module:factory")
    own = {key: _typed(key, value, OWN[key]) for key, value in own.items()}
    weight = own.get("weight", 1)
    inputs, examples = (tuple(own.get(key, ())) for key in ("inputs", "examples"))
    if not (math.isfinite(weight) and weight > 0):
        raise ValueError(f"the weight of {own['model']} must be more than 0, not {weight}")
    if not all(isinstance(text, str) for text in inputs):
        raise ValueError(f"the inputs of {own['model']} must be texts, NAME:SHAPE[:DTYPE]")
    if not all(isinstance(text, str) for text in examples):
        raise ValueError(f"the examples of {own['model']} must be texts, FILE.npz or NAME=FILE.npy")
    name = own.get("name") or directory_name(own["model"])
    name = name if len(targets) == 1 else f"{name}-{place}"
    if not NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a directory; give the model another 'name'")
    request = replace(whole, model=own["model"], inputs=inputs, examples=examples)
    return Member(name, replace(request, target=targets[place]), weight)


def _mapping(body: Any, what: str, known: set[str]) -> dict[str, Any]:
    """Checks that a part of the file is a mapping with known keys only, and returns it.

    Raises:
        ValueError: It is not; the text says why.
    """
    if not isinstance(body, Mapping):
        raise ValueError(f"{what} must be a mapping of names to values")
    strange = [str(key) for key in body if key not in known]
    if strange:
        allowed = ", ".join(sorted(known))
        raise ValueError(f"{what} has no {strange[0]!r}; there are {allowed}")
    return dict(body)


def _typed(key: str, value: Any, types: tuple[type, ...]) -> Any:
    """Checks that a value has a type that its key allows and is not too small, and returns it.

    Raises:
        ValueError: The value cannot be used; the text says why.
    """
    truth = isinstance(value, bool)
    if truth != (bool in types) or not isinstance(value, types):
        raise ValueError(f"{key!r} cannot be {value!r}")
    if key in LEAST and not float(value) >= LEAST[key]:  # type: ignore[arg-type]
        raise ValueError(f"{key!r} must be {LEAST[key]} at least, not {value!r}")
    return value
