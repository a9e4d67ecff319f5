"""Atomic writing: a file appears whole or not at all, and then outlasts a loss of power."""

import os
from pathlib import Path


def write_whole(path: Path, data: bytes, temporary: Path | None = None) -> None:
    """Writes a file under another name, fsyncs it, and puts it in the place of an older one.

    Args:
        path: The file; its folder must exist.
        data: All that it is to hold.
        temporary: The other name, in the same folder. Whatever is there is removed first, as it
            may be a link to somewhere else.

    Raises:
        OSError: The disk is full or the folder cannot be written; an older file stands.
    """
    fresh = temporary or path.with_name(f".{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    try:
        with fresh.open("xb") as sink:
            sink.write(data)
            sink.flush()
            os.fsync(sink.fileno())
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
