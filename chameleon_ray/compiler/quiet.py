"""Silences importers and passes that print and log their own inner workings."""

import contextlib
import io
import logging
import os
import sys
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Drops everything printed, warned of and logged inside, by C++ too; errors are still raised.

    It is for processes that do nothing else meanwhile: standard error is closed to all of their
    threads.
    """
    sys.stderr.flush()
    before = logging.root.manager.disable
    stderr, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    logging.disable(logging.ERROR)
    os.dup2(nowhere, 2)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(nowhere)
        logging.disable(before)
