"""Example inputs in files: read by name, typed as the model wants them, refused in a sentence."""

from pathlib import Path

import numpy as np
import pytest

from chameleon_ray.compiler.frontend.examples import given, read
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
    specs = given(["d:5", "a:2,3"], [str(tmp_path / "all.npz")])
    assert [str(spec) for spec in specs] == ["d:5", "a:2,3", "b:4"]
    assert [spec.values is None for spec in specs] == [True, False, False]


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


def test_shapes_that_contradict_each_other_or_are_empty(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=np.zeros(3))
    np.savez(tmp_path / "empty.npz", x=np.zeros((3, 0)))
    with pytest.raises(ModelError, match="has the shape 3, and --input says x:4"):
        given(["x:4"], [str(tmp_path / "x.npz")])
    with pytest.raises(ModelError, match="has the shape 3, and --input says x=2"):
        given(["x=2"], [str(tmp_path / "x.npz")])
    with pytest.raises(ModelError, match="'x' is empty"):
        given([], [str(tmp_path / "empty.npz")])
    with pytest.raises(ModelError, match="given twice"):
        given(["x:3", "x:4"], [])


def test_values_keep_their_meaning_when_cast() -> None:
    def cast(values: np.ndarray, dtype: str) -> np.ndarray | None:
        return InputSpec("x", values.shape, "", values).typed(dtype).values

    assert cast(np.array([0.1]), "float32") == np.float32(0.1)
    assert cast(np.array([1, 2], "int8"), "int64").dtype == np.int64
    with pytest.raises(ModelError, match="of type float64, and the model wants int64"):
        cast(np.array([1.5, 2.0]), "int64")
    with pytest.raises(ModelError, match="of type int64, and the model wants int8"):
        cast(np.array([300, 2]), "int8")


@pytest.mark.parametrize(
    ("text", "values", "shape"),
    [("sr=16000", 16000, ()), ("on=true", True, ()), ("a:b=[[1.5,2]]", [[1.5, 2]], (1, 2))],
)
def test_a_fixed_input(text: str, values: object, shape: tuple[int, ...]) -> None:
    spec = InputSpec.parse(text)
    assert spec.fixed
    assert spec.values is not None
    assert spec.values.tolist() == values
    assert spec.shape == shape
    assert InputSpec.parse(str(spec)) == spec


@pytest.mark.parametrize("text", ["sr=", "=5", "sr=fast", 'sr="a"', "sr=[1,[2]]", "sr=null"])
def test_what_is_no_value(text: str) -> None:
    with pytest.raises(ModelError, match="not NAME=VALUE"):
        InputSpec.parse(text)
