"""Plug-ins: parts that other installed packages offer by name, found through their entry points.

Finding and listing names imports nothing of a plug-in. The command imports explorers, samplers and
cost models at its start, to see that it can. Every part is imported again by name in the process
that uses it, so nothing of it has to be pickled on the way there.
"""

from collections.abc import Callable, Collection
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from typing import Any

from chameleon_ray.errors import UserError

GROUPS = {
    "explorer": "explorers",
    "sampler": "samplers",
    "cost model": "cost_models",
    "format": "formats",
    "template": "templates",
    "store": "stores",
}
"""Groups of entry points, by what is plugged in; ``chameleon_ray.`` comes before each."""


def find(what: str, name: str, own: Collection[str]) -> Callable[..., Any] | None:
    """Imports the plug-in that has a name.

    Args:
        what: Kind of part, a key of ``GROUPS``.
        name: Name that the user asked for.
        own: Names of this project's own parts of that kind.

    Returns:
        The object that the entry point names; None where no package claims the name.

    Raises:
        UserError: Several packages claim the name, it is one of ``own``, or the plug-in cannot be
            imported or called.
    """
    claims = list(entries_of(what).select(name=name))
    packages = joined(map(package_of, claims))
    if claims and name in own:
        raise UserError(
            f"The {what} {name!r} is chameleon_ray's own, and {packages} claims the name, too; "
            f"uninstall {packages}, or give its {what} another name."
        )
    _demand_one(what, name, claims)
    return loaded(what, claims[0]) if claims else None


def demand(what: str, name: str) -> EntryPoint:
    """Demands that exactly one plug-in has a name, and returns it; imports nothing.

    Raises:
        UserError: No package claims the name, or several do.
    """
    claims = list(entries_of(what).select(name=name))
    if not claims:
        known = choices(what, ()) or "none is installed"
        raise UserError(f"There is no {what} {name!r} of another package; there are: {known}.")
    _demand_one(what, name, claims)
    return claims[0]


def choices(what: str, own: Collection[str]) -> str:
    """Lists the names that may be asked for: this project's own, then those of plug-ins.

    Names that more than one package claims say so.
    """
    claims: dict[str, list[str]] = {name: ["chameleon_ray"] for name in own}
    for entry in sorted(entries_of(what), key=lambda entry: entry.name):
        claims.setdefault(entry.name, []).append(package_of(entry))
    return ", ".join(
        f"{name} (claimed by {joined(packages)})" if len(packages) > 1 else name
        for name, packages in claims.items()
    )


def entries_of(what: str) -> EntryPoints:
    """Reads the entry points that all installed packages offer of one kind; takes milliseconds."""
    return entry_points(group=f"chameleon_ray.{GROUPS[what]}")


def loaded(what: str, entry: EntryPoint) -> Callable[..., Any]:
    """Imports what an entry point names.

    Raises:
        UserError: The plug-in cannot be imported, or cannot be called.
    """
    package = package_of(entry)
    called = f"The {what} {entry.name!r} of the package {package} ({entry.value})"
    try:
        found = entry.load()
    except Exception as error:  # importing it runs somebody else's code, which may raise anything
        said = " ".join(f"{type(error).__name__}: {error}".split())
        raise UserError(
            f"{called} cannot be imported: {said}; repair or uninstall {package}."
        ) from error
    if not callable(found):
        raise UserError(
            f"{called} is of type {type(found).__name__}, which cannot be called; repair or "
            f"uninstall {package}."
        )
    made: Callable[..., Any] = found
    return made


def _demand_one(what: str, name: str, claims: list[EntryPoint]) -> None:
    if len(claims) > 1:
        packages = joined(map(package_of, claims))
        raise UserError(
            f"The {what} {name!r} is claimed by several packages, {packages}; uninstall all but "
            "one of them."
        )


def package_of(entry: EntryPoint) -> str:
    """Returns the name of the distribution that an entry point belongs to."""
    return entry.dist.name if entry.dist is not None else "an unknown package"


def joined(packages: Any) -> str:
    """Joins distinct names, in order, for a sentence."""
    return " and ".join(sorted(set(packages)))
