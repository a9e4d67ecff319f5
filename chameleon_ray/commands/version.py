"""``chameleon version``: prints the version."""

from chameleon_ray import __version__
from chameleon_ray.commands.arguments import Json
from chameleon_ray.commands.screen import print_json, screen


def version(json: Json = False) -> None:
    """Prints the version.

    Examples: chameleon version --json
    """
    if json:
        print_json({"version": __version__})
    else:
        screen.print(__version__)
