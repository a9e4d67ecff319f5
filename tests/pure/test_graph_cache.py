"""Graphs that wait for being tuned: none that a fault has left in part."""

from pathlib import Path

import pytest

from chameleon_ray.interface import graph_cache


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return graph_cache.folder_of([b"graph"])


def test_a_graph_that_could_not_be_written_does_not_wait(folder: Path) -> None:
    with pytest.raises(Exception, match="ExportedProgram"):
        graph_cache.keep(folder, "no program", {"threads": 1}, "llvm")
    assert graph_cache.waiting() == []
    assert graph_cache.options_of(folder) == {"threads": 1}
    assert [path.name for path in folder.iterdir()] == ["options.json"]
