"""Whose files are executed: directories of others, and those that others can write."""

import os
from pathlib import Path

import pytest

from chameleon_ray.trust import distrusted, warning

root = pytest.mark.skipif(os.getuid() != 0, reason="only root gives files away")
NOBODY = 65534


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    run = tmp_path / "run"
    run.mkdir(mode=0o755)
    (run / "model.so").touch(mode=0o644)
    return run


def test_ones_own_directory_needs_no_word(folder: Path) -> None:
    assert distrusted(folder, ("model.so", "missing.so")) == ""
    assert warning(folder, (), "runs its native code") == ""


def test_what_everybody_can_write_is_told(folder: Path) -> None:
    (folder / "model.so").chmod(0o666)
    assert distrusted(folder) == ""
    assert distrusted(folder, ("model.so",)) == f"everybody can write {folder / 'model.so'}"
    folder.chmod(0o777)
    assert warning(folder, (), "runs its native code") == (
        f"Careful: everybody can write {folder}, and this runs its native code as you; stop unless "
        "you trust them."
    )
    folder.chmod(0o1777)  # files can be added
    assert distrusted(folder) == f"everybody can write {folder}"


def test_directories_above_count_unless_only_owners_rename_there(folder: Path) -> None:
    folder.parent.chmod(0o777)
    assert distrusted(folder) == f"everybody can write {folder.parent}"
    folder.parent.chmod(0o1777)
    assert distrusted(folder) == ""


@root
def test_what_belongs_to_another_user_is_told(folder: Path) -> None:
    os.chown(folder, NOBODY, -1)
    assert distrusted(folder).startswith(f"{folder} belongs to user ")
    os.chown(folder, 0, 1)  # nobody is in this group, but a daemon whose own it may be
    folder.chmod(0o775)
    found = distrusted(folder)
    assert found in ("", f"group daemon can write {folder}", f"group bin can write {folder}")


@root
def test_links_are_followed(folder: Path, tmp_path: Path) -> None:
    os.chown(folder, NOBODY, -1)
    (tmp_path / "link").symlink_to(folder)
    assert distrusted(tmp_path / "link").startswith(f"{folder} belongs to user ")
