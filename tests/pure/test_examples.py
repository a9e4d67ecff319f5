"""Example inputs in files: read by name, typed as the model wants them, refused in a sentence."""

from pathlib import Path

import numpy as np
import pytest

from chameleon_ray.compiler.frontend.examples import read, shapes, typed
from chameleon_ray.compiler.frontend.inputs import InputSpec, ModelError


def test_arrays_by_name_from_both_kinds_of_files(tmp_path: Path) -> None:
    np.savez(tmp_path / "all.npz", a=np.ones((2, 3)), b=np.arange(4))
    np.save(tmp_path / "one.npy", np.float32(5))
    arrays = read([str(tmp_path / "all.npz"), f"c={tmp_path / 'one.npy'}"])
    assert {name: array.shape for name, array in arrays.items()} == {
        "a": (2, 3),
        "b": (4,),
        "c": (),
    }
    specs = shapes(arrays, [InputSpec("a", (2, 3))])
    assert [str(spec) for spec in specs] == ["a:2,3", "b:4", "c:"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("x.txt", "neither FILE.npz nor NAME=FILE.npy"),
        ("x.npy", "neither FILE.npz nor NAME=FILE.npy"),
        ("none.npz", "none.npz cannot be read"),
        ("x=none.npy", "none.npy cannot be read"),
        ("broken.npz", "broken.npz is no file of plain NumPy arrays"),
        ("objects.npz", "objects.npz is no file of plain NumPy arrays"),
    ],
)
def test_what_cannot_be_read(
    text: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("broken.npz").write_bytes(b"PK\x03\x04 cut short")
    np.savez("objects.npz", a=np.array([{}], object))
    with pytest.raises(ModelError, match=sentence):
        read([text])


def test_an_input_is_given_once(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros(3))
    text = f"x={tmp_path / 'x.npy'}"
    with pytest.raises(ModelError, match="'x' is given twice"):
        read([text, text])


def test_shapes_that_contradict_each_other_or_are_empty() -> None:
    with pytest.raises(ModelError, match="has the shape 3, and --input says 4"):
        shapes({"x": np.zeros(3)}, [InputSpec("x", (4,))])
    with pytest.raises(ModelError, match="'x' is empty"):
        shapes({"x": np.zeros((3, 0))}, [])


def test_values_keep_their_meaning_when_cast() -> None:
    specs = [InputSpec("x", (2,), "float32"), InputSpec("i", (2,), "int64")]
    cast = typed({"x": np.array([0.1, 2.0]), "i": np.array([1, 2], "int8")}, specs)
    assert {name: str(array.dtype) for name, array in cast.items()} == {
        "x": "float32",
        "i": "int64",
    }
    with pytest.raises(ModelError, match="is of type float64, and the model wants int64"):
        typed({"i": np.array([1.5, 2.0])}, specs)
    with pytest.raises(ModelError, match="is of type int64, and the model wants int8"):
        typed({"i": np.array([300, 2])}, [InputSpec("i", (2,), "int8")])
