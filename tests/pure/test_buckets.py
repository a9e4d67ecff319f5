"""Buckets: how they are written, which one a call takes, and which lowerings they share."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from chameleon_ray.compiler.frontend.buckets import buckets_of
from chameleon_ray.compiler.frontend.inputs import InputSpec, ModelError
from chameleon_ray.errors import UserError
from chameleon_ray.interface.dispatching import Bucket, Dispatcher
from chameleon_ray.interface.signature import Array, CallError
from chameleon_ray.interface.tuning import tune
from chameleon_ray.options.buckets import is_bucketed
from chameleon_ray.report.buckets import batched, told
from tests.pure.fake_result import fake_result


def bucket(rows: int, width: int = 3) -> Bucket:
    image, scale = Array("x", (rows, width), "float32"), Array("scale", (1,), "float32")
    return Bucket(f"bucket_{rows}", (image, scale))


def call(
    rows: int, padded: tuple[int, ...] = (0,), width: int = 3
) -> tuple[str, np.ndarray, int | None]:
    dispatcher = Dispatcher([bucket(1), bucket(4)], padded)
    image = np.arange(rows * width, dtype="float32").reshape(rows, width) + 1
    found = dispatcher.call((image, np.ones(1, "float32")), {})
    return found.entry, found.inputs[0], found.rows


def test_inputs_list_buckets() -> None:
    found = buckets_of(("x:{8, 1}x3:int8", "y:{16,2},{4,4}", "k=2", "z:5"))
    assert [one.extents for one in found] == [(1, 2, 4), (8, 16, 4)]
    assert found[1].inputs == ("x:8x3:int8", "y:16,4", "k=2", "z:5")
    assert [one.name for one in found] == ["bucket-1x2x4", "bucket-8x16x4"]
    assert [one.name for one in buckets_of(("x:{2,4}x3", "y:{2,4}"))] == ["bucket-2", "bucket-4"]
    assert not is_bucketed(("x:1x3", "k=2"))
    assert buckets_of(("x:1x3",)) == ()


def test_one_shape_is_asked_for_elsewhere() -> None:
    with pytest.raises(ModelError, match="lists buckets, which are for chameleon tune alone"):
        InputSpec.parse("x:{1,2}x3")


@pytest.mark.parametrize(
    ("shapes", "places"),
    [
        ([[(1, 3), (1,)], [(4, 3), (1,)]], (0,)),
        ([[(1, 3), (1, 2)], [(4, 3), (4, 2)]], (0, 1)),
        ([[(1, 3), (2, 2)], [(4, 3), (4, 2)]], ()),
        ([[(1, 3)], [(1, 4)]], ()),
        ([[(1, 3)], [(2, 4)]], ()),
        ([[(4, 3), (4,), (1,), ()]], (0, 1)),
        ([[]], ()),
    ],
)
def test_inputs_with_a_batch_are_found(
    shapes: list[list[tuple[int, ...]]], places: tuple[int, ...]
) -> None:
    assert batched(shapes) == places


def test_a_call_takes_the_next_bucket() -> None:
    assert call(1)[::2] == ("bucket_1", None)
    assert call(4)[::2] == ("bucket_4", None)
    entry, image, rows = call(3)
    assert (entry, image.shape, rows) == ("bucket_4", (4, 3), 3)
    assert image[:3].ravel().tolist() == list(range(1, 10))
    assert not image[3:].any()


@pytest.mark.parametrize("asked", [(5,), (0,), (2, ()), (2, (0,), 4)])
def test_a_call_without_a_bucket_is_refused(asked: tuple) -> None:
    with pytest.raises(CallError, match="There is no bucket for"):
        call(*asked)


def test_batches_of_two_inputs_must_agree() -> None:
    rows = (Array("x", (4, 3), "float32"), Array("y", (4,), "float32"))
    dispatcher = Dispatcher([Bucket("bucket_4", rows)], (0, 1))
    assert dispatcher.call((np.zeros((2, 3), "f4"), np.zeros(2, "f4")), {}).rows == 2
    with pytest.raises(CallError, match="There is no bucket for 2x3, 3"):
        dispatcher.call((np.zeros((2, 3), "f4"), np.zeros(3, "f4")), {})
    with pytest.raises(CallError, match="'y' is missing"):
        dispatcher.call((np.zeros((2, 3), "f4"),), {})


@pytest.mark.parametrize(
    ("shapes", "apart", "said"),
    [
        ([(1, 3), (4, 3)], True, "other batches up to the largest are padded"),
        ([(1, 3), (4, 3)], False, "no other shape, as the outputs depend on the whole batch"),
        ([(1, 3), (1, 4)], False, "no other shape, as these differ in more than one batch"),
    ],
)
def test_what_else_a_library_takes_is_told(
    shapes: list[tuple[int, ...]], apart: bool, said: str, tmp_path: Path
) -> None:
    library = tmp_path / "model.so"
    library.touch()
    known = fake_result(tmp_path)
    results = [replace(known, inputs=(("x", shape, "float32"),), apart=apart) for shape in shapes]
    assert said in told(results, tmp_path, library)[0]


@pytest.mark.parametrize("buckets", [None, (), []])
def test_no_buckets_are_the_batch_of_the_inputs_alone(
    buckets: tuple[int, ...] | None, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="A model of type object cannot be tuned"):
        tune(object(), buckets=buckets, out=tmp_path / "run")


def test_shapes_are_given_once(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Give buckets= or inputs=, not both"):
        tune("resnet-18", buckets=(1, 2), inputs=["input:1x3x224x224"], out=tmp_path / "run")
