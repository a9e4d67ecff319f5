"""``chameleon version``: prints the version."""

from chameleon_ray import __version__
from chameleon_ray.commands.screen import screen


def version() -> None:
    """Prints the version."""
    screen.print(__version__)
