"""Models from outside: no pickle in them is read, and they reach no file beside their own."""

import io
import pickle
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from chameleon_ray.compiler.frontend.inputs import ModelError
from chameleon_ray.compiler.frontend.load import load
from tests.pure.test_trust import Burglar


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """An exported program."""
    path = tmp_path / "net.pt2"
    module, example = torch.nn.Linear(8, 4).eval(), (torch.zeros(2, 8),)
    torch.export.save(torch.export.export(module, example), path)
    return path


def altered(path: Path, ending: str, content: bytes) -> Path:
    """The archive, with other content in the one file whose name ends so."""
    other = path.with_name("other.pt2")
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(other, "w") as sink:
        names = [name for name in source.namelist() if name.endswith(ending)]
        assert len(names) == 1, source.namelist()
        for name in source.namelist():
            sink.writestr(name, content if name in names else source.read(name))
    return other


def test_a_program_is_read(program: Path) -> None:
    assert [spec.shape for spec in load(str(program)).inputs] == [(2, 8)]


@pytest.mark.parametrize("saved", [True, False], ids=["torch.save", "pickle"])
def test_pickles_in_a_program_are_not_read(program: Path, tmp_path: Path, saved: bool) -> None:
    mark, buffer = tmp_path / "unpickled", io.BytesIO()
    if saved:
        torch.save((Burglar(mark),), buffer)
    else:
        pickle.dump((Burglar(mark),), buffer)
    bad = altered(program, "sample_inputs/model.pt", buffer.getvalue())
    with pytest.raises(ModelError, match="cannot be read as a torch exported program"):
        load(str(bad))
    assert not mark.exists()


def test_weights_of_another_folder_are_not_read(tmp_path: Path) -> None:
    secret, folder = tmp_path / "secret", tmp_path / "models"
    secret.write_bytes(np.zeros(4, np.float32).tobytes())
    folder.mkdir()
    weight = helper.make_tensor("w", TensorProto.FLOAT, [4], np.zeros(4, np.float32))
    weight.ClearField("float_data")
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="../secret")
    places = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [4]) for n in ("x", "y")]
    node = helper.make_node("Add", ["x", "w"], ["y"])
    graph = helper.make_graph([node], "g", places[:1], places[1:], [weight])
    (folder / "net.onnx").write_bytes(helper.make_model(graph).SerializeToString())
    with pytest.raises(ModelError, match="is not a valid ONNX model"):
        load(str(folder / "net.onnx"))
    assert onnx.load(folder / "net.onnx", load_external_data=False).graph.node
