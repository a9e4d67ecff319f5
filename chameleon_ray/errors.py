"""Errors that are written for the user: one sentence that says what, where, and what to do."""


class UserError(Exception):
    """A request cannot be met; the text is the sentence that the command prints.

    Every part derives its own errors from this class where their text is such a sentence. Any other
    exception is a bug.
    """


class RayLost(UserError):
    """The private Ray has ended, and all workers with it."""

    def __init__(self, why: str) -> None:
        """Takes the reason, as ``its raylet was killed by SIGKILL``."""
        super().__init__(f"Ray ended, and all of its workers with it: {why}.")


class Stopped(Exception):
    """The user stopped the run; everything measured so far is kept."""
