"""What comes from outside is read as data, and names nothing outside the run directory."""

import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from chameleon_ray.database import Database, DatabaseError
from chameleon_ray.folder import RunFolder, file_name
from chameleon_ray.replay.table import TableError, read_table
from chameleon_ray.run_files import FolderError


class Burglar:
    """Makes a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple:
        return Path.touch, (self.mark,)


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """A file that is there once something was unpickled."""
    return tmp_path / "unpickled"


def test_a_burglar_is_one(mark: Path) -> None:
    pickle.loads(pickle.dumps(Burglar(mark)))
    assert mark.exists()


def test_agents_are_arrays(tmp_path: Path, mark: Path) -> None:
    folder = RunFolder(tmp_path / "run", existing=False)
    folder.agents.save("ppo", "task", {"weights": np.zeros(1)})
    (file,) = (folder.path / "agents").rglob("*.npz")
    np.savez(file, weights=np.array([Burglar(mark)], dtype=object))
    assert folder.agents.load("ppo", "task") == {}
    file.write_bytes(pickle.dumps(Burglar(mark)))
    assert folder.agents.load("ppo", "task") == {}
    folder.close()
    assert not mark.exists()


def test_records_are_columns(tmp_path: Path, mark: Path) -> None:
    part = tmp_path / "records" / "part-000000000.parquet"
    database = Database(part.parent)
    part.write_bytes(pickle.dumps(Burglar(mark)))
    with pytest.raises(DatabaseError, match="is not a readable part"):
        database.read()
    pq.write_table(pa.table({"config": [pickle.dumps(Burglar(mark))]}), part)
    with pytest.raises(DatabaseError, match="is not a readable part"):
        database.read()
    assert not mark.exists()


def test_identity_and_tables_are_json(tmp_path: Path, mark: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "run.json").write_bytes(pickle.dumps(Burglar(mark)))
    folder = RunFolder(run, existing=True)
    with pytest.raises(FolderError, match="is damaged"):
        folder.identity()
    folder.close()
    table = tmp_path / "table.json"
    table.write_bytes(pickle.dumps(Burglar(mark)))
    with pytest.raises(TableError, match="is no table"):
        read_table(table)
    assert not mark.exists()


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("resnet-18", "resnet-18"),
        ("my net", "my-net"),
        ("../../etc/passwd", "-..-etc-passwd"),
        ("/etc/passwd", "-etc-passwd"),
        ("..", "model"),
        (".lock", "lock"),
        ("a\0b\nc", "a-b-c"),
        ("", "model"),
    ],
)
def test_models_name_nothing_outside_the_run_directory(
    tmp_path: Path, model: str, name: str
) -> None:
    assert file_name(model) == name
    assert (tmp_path / file_name(model)).resolve().parent == tmp_path.resolve()
