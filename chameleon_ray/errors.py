"""Errors that are written for the user: one sentence that says what, where, and what to do."""


class UserError(Exception):
    """A request that cannot be met. Its text is the sentence that the command prints.

    Every part derives its own errors from it where they are such a sentence already; any other
    exception is a bug.
    """


class Stopped(Exception):
    """The user stopped the run; everything measured so far is kept."""
