"""A command that is interrupted while Python runs a text, as in the making of a data class."""

from chameleon_ray.__main__ import main
from chameleon_ray.commands.app import app
from chameleon_ray.commands.command import command


@command(app, "interrupted")
def interrupted() -> None:
    """Interrupts itself."""
    exec("raise KeyboardInterrupt")


if __name__ == "__main__":
    main()
