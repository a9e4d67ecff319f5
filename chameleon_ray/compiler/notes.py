"""The warnings that are logged while a model is imported, for the user."""

import logging


class Notes(logging.Handler):
    """Keeps the warnings that this package logs, for the user."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._sentences: list[str] = []
        logging.getLogger("chameleon_ray").addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        self._sentences.append(record.getMessage())

    def taken(self) -> list[str]:
        """Returns the warnings so far, and keeps no more from now on."""
        logging.getLogger("chameleon_ray").removeHandler(self)
        return self._sentences
