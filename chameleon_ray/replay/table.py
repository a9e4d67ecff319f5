"""Tables: design spaces whose configurations were all measured before, and how they are read."""

import gzip
import json
import math
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from chameleon_ray.knob import Choice, Knob
from chameleon_ray.record import Status
from chameleon_ray.replay import kernel_tuner, own_records, t4
from chameleon_ray.replay.recording import Entry, Recording, TableError
from chameleon_ray.space import Config, DesignSpace, as_configs

__all__ = ["Table", "TableError", "read_table", "tabulated"]

GZIP = b"\x1f\x8b"
MOST = 2**63
"""Number of combinations from which int64 is too small to number them."""


@dataclass(frozen=True, eq=False)
class Table:
    """The results of measuring every configuration of a space; arrays follow ``space.members``.

    Attributes:
        name: The table's name for people.
        space: The design space; its members are the recorded configurations.
        latency: ``(n,)`` seconds of one execution; infinite for a failure.
        build_seconds: ``(n,)`` seconds of compiling.
        run_seconds: ``(n,)`` seconds of verification and timing.
        status: How each measurement ended.
        error: Why each measurement failed, in words.
        device: Device of the measurements; empty where it is not known.
    """

    name: str
    space: DesignSpace
    latency: np.ndarray
    build_seconds: np.ndarray
    run_seconds: np.ndarray
    status: tuple[Status, ...]
    error: tuple[str, ...]
    device: str = ""

    def __len__(self) -> int:
        return len(self.latency)

    @property
    def seconds(self) -> np.ndarray:
        """The ``(n,)`` seconds of each measurement."""
        return self.build_seconds + self.run_seconds

    @property
    def optimum(self) -> float:
        """The least latency in seconds."""
        return float(self.latency.min())

    def row(self, config: Config) -> int | None:
        """Returns the row of a configuration; None where it was not recorded."""
        return self._rows.get(tuple(config))

    @cached_property
    def configs(self) -> list[Config]:
        """The configuration of each row."""
        return as_configs(self.space.enumerate())

    @cached_property
    def _rows(self) -> dict[Config, int]:
        return {config: row for row, config in enumerate(self.configs)}


def read_table(path: Path, task: str | None = None) -> Table:
    """Reads a Kernel Tuner cache, T4 results (either may be compressed by gzip) or own records.

    Args:
        path: A file, or the directory of a run or of its records. Its content decides, not its
            name.
        task: Digest of the task to read, where own records are of several.

    Raises:
        TableError: It is missing, unreadable, none of these, or there is nothing to search in it.
    """
    try:
        if path.is_dir() or _begins(path, own_records.MAGIC):
            found = own_records.recording(path, task)
        else:
            found = _recording(_document(path))
            if task is not None:
                raise TableError("has one task only; leave out --task.")
        return tabulated(_name(path, found), found)
    except FileNotFoundError as error:
        raise TableError(f"There is no {path}.") from error
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise TableError(f"{path} cannot be read: {reason}.") from error
    except TableError as error:
        raise TableError(f"{path} {error}") from error


def tabulated(name: str, found: Recording) -> Table:
    """Makes a table of a recording, in the order of its configurations.

    Raises:
        TableError: It is empty, all failed, there is nothing to choose, or it is no product of
            knobs.
    """
    entries = found.entries
    if all(entry.status is not Status.OK for entry in entries):
        what = "every configuration in it failed" if entries else "no configuration is in it"
        raise TableError(f"cannot be searched: {what}.")
    knobs = _knobs(found)
    numbers = [(knob.name, {c: n for n, c in enumerate(knob.choices)}) for knob in knobs]
    latest = {
        tuple(
            among[entry.values[name]] if name in entry.values else 0 for name, among in numbers
        ): entry
        for entry in entries
    }
    members = np.array(sorted(latest), dtype=np.int64)
    kept = [latest[config] for config in sorted(latest)]
    return Table(
        name=name,
        space=DesignSpace(tuple(knobs), _active(knobs, entries), members),
        latency=np.array([entry.latency for entry in kept]),
        build_seconds=np.array([entry.build_seconds for entry in kept]),
        run_seconds=np.array([entry.run_seconds for entry in kept]),
        status=tuple(entry.status for entry in kept),
        error=tuple(entry.error for entry in kept),
        device=found.device,
    )


def _knobs(found: Recording) -> list[Knob]:
    """Returns the knobs that were set to more than one choice, with the recorded choices only."""
    seen: dict[str, dict[Choice, None]] = {}
    for entry in found.entries:
        for name, value in entry.values.items():
            seen.setdefault(name, {})[value] = None
    knobs = [
        _knob(name, _ordered(values, found.listed.get(name, ())))
        for name, values in seen.items()
        if len(values) > 1
    ]
    if not knobs:
        raise TableError("cannot be searched: no parameter in it has more than one value.")
    if math.prod(len(knob) for knob in knobs) >= MOST:
        raise TableError("cannot be searched: its parameters have too many combinations.")
    return knobs


def _knob(name: str, choices: Sequence[Choice]) -> Knob:
    tiles = [choice for choice in choices if isinstance(choice, tuple)]
    whole = all(type(tile) is int and tile > 0 for tiling in tiles for tile in tiling)
    shapes = {(len(tiling), math.prod(tiling)) for tiling in tiles} if whole else set()
    if len(tiles) == len(choices) and len(shapes) == 1:
        return Knob.tilings(name, tiles)
    return Knob.listed(name, choices)


def _ordered(seen: Iterable[Choice], listed: Sequence[Choice]) -> list[Choice]:
    """Sorts choices by the file's list; those that are not on it follow by size, or by name."""
    first = [choice for choice in dict.fromkeys(listed) if choice in seen]
    return first + sorted((choice for choice in seen if choice not in first), key=_rank)


def _rank(choice: Choice) -> tuple[int, Any]:
    if isinstance(choice, int | float):
        return 0, choice
    if isinstance(choice, tuple) and all(isinstance(tile, int) for tile in choice):
        return 1, choice
    return 2, str(choice)


def _active(knobs: Sequence[Knob], entries: Sequence[Entry]) -> np.ndarray | None:
    """Finds the knobs that count for each choice of the first knob; None where all always count.

    Returns:
        ``(choices of knob 0, knobs)`` bool.

    Raises:
        TableError: The missing knobs do not depend on the first knob, the sketch, alone.
    """
    names = list(dict.fromkeys(name for entry in entries for name in entry.values))
    first, decided = knobs[0].name, dict[Any, frozenset[str]]()
    if all(len(entry.values) == len(names) for entry in entries):
        return None
    for entry in entries:
        there = frozenset(entry.values)
        if first not in there or decided.setdefault(entry.values[first], there) != there:
            missing = next(n for n in names if any(n not in entry.values for entry in entries))
            raise TableError(
                f"cannot be searched: the parameter {missing!r} is missing in some "
                f"configurations, and {first!r} does not decide in which."
            )
    return np.array([[knob.name in decided[c] for knob in knobs] for c in knobs[0].choices])


def _name(path: Path, found: Recording) -> str:
    path = path.resolve()
    path = path.parent if path.name == "records" else path
    plain = path.name.removesuffix(".gz").removesuffix(".json").removesuffix(".parquet")
    return f"{plain}:{found.layer}" if found.layer else plain


def _begins(path: Path, magic: bytes) -> bool:
    with path.open("rb") as source:
        return source.read(len(magic)) == magic


def _document(path: Path) -> Any:
    """Parses a file's JSON; None where it is none.

    The end is mended where a tuner was stopped before it could write it.
    """
    raw = path.read_bytes()
    raw = gzip.decompress(raw) if raw.startswith(GZIP) else raw
    try:
        text = raw.decode("utf-8-sig")
        try:
            return json.loads(text)
        except ValueError:
            return kernel_tuner.closed(text)
    except (ValueError, RecursionError):
        return None


def _recording(document: Any) -> Recording:
    if kernel_tuner.is_cache(document):
        return kernel_tuner.recording(document)
    if t4.is_results(document):
        return t4.recording(document)
    raise TableError(
        "is no table; give a Kernel Tuner cache, T4 results, or records of chameleon tune."
    )
