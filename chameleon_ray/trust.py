"""Whose files are executed: what other users could have put into a directory of ours."""

import grp
import os
import pwd
import stat
from pathlib import Path


def distrusted(folder: Path, files: tuple[str, ...] = ()) -> str:
    """Says who else than this process's user, or root, can have written what is in a directory.

    Args:
        folder: The directory. The directories above it count, too, as who can write one of these
            can put another one in its place.
        files: Names of files in it.

    Returns:
        A phrase such as ``/runs/net belongs to user eve``; empty where there is nobody.
    """
    whole = folder.resolve()
    own = [whole / name for name in files]
    for path in (*own, whole, *whole.parents):
        try:
            found = path.stat()
        except OSError:
            continue
        if found.st_uid not in (0, os.getuid()):
            return f"{path} belongs to user {_user(found.st_uid)}"
        kept = path in whole.parents and found.st_mode & stat.S_ISVTX  # only owners rename there
        if found.st_mode & stat.S_IWOTH and not kept:
            return f"everybody can write {path}"
        if found.st_mode & stat.S_IWGRP and not kept and _shared(found.st_gid):
            return f"group {_group(found.st_gid)} can write {path}"
    return ""


def warning(folder: Path, files: tuple[str, ...], does: str) -> str:
    """Returns a sentence on what a command does with another user's files; empty for one's own.

    Args:
        folder: The directory.
        files: Names of the files that are used.
        does: What the command does, such as ``runs its native code``.
    """
    who = distrusted(folder, files)
    return f"Careful: {who}, and this {does} as you; stop unless you trust them." if who else ""


def _shared(group: int) -> bool:
    """Whether others than this process's user and root are in a group."""
    own = os.getuid()
    try:
        members = {pwd.getpwnam(name).pw_uid for name in grp.getgrgid(group).gr_mem}
    except KeyError:
        members = set()
    members |= {one.pw_uid for one in pwd.getpwall() if one.pw_gid == group}
    return bool(members - {0, own})


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _group(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)
