"""One library for several batches: tuned once, called with any batch, gone on with, exported."""

import json
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from typer.testing import CliRunner

import chameleon_ray as cr
from chameleon_ray.commands.app import app
from tests.whole.command import SERIAL, chameleon, records, refused
from tests.whole.onnx_net import open_batch
from tests.whole.test_export import built, by_loader

BUCKETS = ("--input", "x:{4,1}x64")
NAMES = ("bucket-1", "bucket-4")


def tuned(model: str, folder: Path, *words: str, trials: str = "12") -> str:
    """Tunes for buckets; returns what the command said at its end."""
    code, out, err = chameleon(
        "tune", model, *BUCKETS, *SERIAL, "--trials", trials, "--out", str(folder), *words
    )
    assert code == 0, err
    return out


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return open_batch(tmp_path_factory.mktemp("models") / "open.onnx")


@pytest.fixture(scope="module")
def run(model: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("buckets") / "run"
    said = tuned(model, folder)
    assert "takes 1x64, 4x64; other batches up to the largest are padded" in said
    return folder


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return np.random.default_rng(1).standard_normal((4, 64)).astype("float32")


def expected(model: str, image: np.ndarray) -> np.ndarray:
    """What NumPy computes with the file's weights."""
    tensors = map(numpy_helper.to_array, onnx.load(model).graph.initializer)
    weights, bias = tensors
    return np.asarray(image @ weights + bias)


def test_there_is_one_library_and_a_latency_for_each_bucket(run: Path) -> None:
    summary = json.loads((run / "summary.json").read_text())
    assert summary["padded"] == [0]
    assert [bucket["inputs"][0]["shape"] for bucket in summary["buckets"]] == [[1, 64], [4, 64]]
    assert all(b["latency_ms"]["tuned"] and b["verified"]["ok"] for b in summary["buckets"])
    assert [model["name"] for model in summary["models"]] == list(NAMES)
    for name in NAMES:
        assert (run / "models" / name / "model.so").resolve() == (run / "model.so").resolve()
    weights = 64 * 192 * 4
    sizes = [(run / "models" / name / "untuned.so").stat().st_size for name in NAMES]
    assert (run / "model.so").stat().st_size < sum(sizes) - 0.8 * weights, "they are stored once"
    assert "other batches up to the largest are padded" in (run / "report.html").read_text()


@pytest.mark.parametrize("rows", [1, 2, 3, 4])
def test_any_batch_up_to_the_largest_is_right(
    run: Path, model: str, image: np.ndarray, rows: int
) -> None:
    loaded, right = cr.load(run), expected(model, image[:rows])
    np.testing.assert_allclose(loaded(image[:rows]), right, atol=1e-4)
    outputs = loaded(x=torch.from_numpy(image[:rows]))
    assert isinstance(outputs, torch.Tensor)
    np.testing.assert_allclose(outputs.numpy(), right, atol=1e-4)


def test_what_no_bucket_takes_gets_a_sentence(run: Path) -> None:
    loaded = cr.load(run)
    for shape, dtype, said in (
        ((5, 64), "f4", "There is no bucket for 5x64: the model has 1x64; 4x64, and pads"),
        ((0, 64), "f4", "There is no bucket for 0x64"),
        ((2, 65), "f4", "There is no bucket for 2x65"),
        ((64,), "f4", "There is no bucket for 64:"),
        ((2, 64), "f8", "The input 'x' is 4x64 float64, but the model takes 4x64 float32."),
    ):
        with pytest.raises(cr.UserError, match=said):
            loaded(np.zeros(shape, dtype))


def test_a_saved_model_and_a_bucket_alone_can_be_called(
    run: Path, image: np.ndarray, tmp_path: Path
) -> None:
    whole = cr.load(run)
    assert np.array_equal(cr.load(whole.save(tmp_path / "saved"))(image[:3]), whole(image[:3]))
    alone = cr.load(run / "models" / "bucket-4")
    assert np.array_equal(alone(image), whole(image))
    assert whole.layers.num_rows == sum(
        cr.load(run / "models" / name).layers.num_rows for name in NAMES
    )


def test_a_finished_run_is_timed_and_checked_by_bucket(run: Path) -> None:
    words = ["bench", str(run), "--no-compare", "--repeats", "2", "--json"]
    code, out, err = chameleon(*words)
    assert code == 0, err
    assert list(json.loads(out)) == list(NAMES)
    code, out, err = chameleon("check", str(run), "--baseline", str(run), "--fail-if-slower", "99%")
    assert code == 0, err
    assert all(f"models/{name}" in out for name in NAMES)


def test_winners_are_applied_beside_the_library_of_all(run: Path, model: str) -> None:
    code, err = refused("apply", str(run), model, "--input", "x:4x64")
    assert code == 1
    assert "holds no run, but a zoo (of the runs" in err
    bucket = run / "models" / "bucket-4"
    code, out, err = chameleon("apply", str(bucket), model, "--input", "x:4x64")
    assert code == 0, err
    assert f"{bucket}/applied/" in out
    assert (bucket / "model.so").is_symlink()


def test_a_run_is_gone_on_with(run: Path, model: str, image: np.ndarray) -> None:
    before, right = records(run), cr.load(run)(image[:3])
    tuned(model, run, "--resume", trials="20")
    made = records(run)
    assert made[: len(before)] == before
    assert len(before) <= 12 < len(made) <= 20
    shutil.copytree(run, run.parent / "copy", symlinks=True)  # it is another file's library
    np.testing.assert_allclose(cr.load(run.parent / "copy")(image[:3]), right, atol=1e-4)


def test_an_exported_model_takes_the_same_batches(
    run: Path, model: str, image: np.ndarray, tmp_path: Path
) -> None:
    folder = tmp_path / "exported"
    result = CliRunner().invoke(app, ["export", str(run), str(folder)])
    assert result.exit_code == 0, result.output
    for rows in (1, 3, 5):
        np.save(tmp_path / f"{rows}.npy", np.resize(image, (rows, 64)))
        np.resize(image, (rows, 64)).tofile(tmp_path / f"{rows}.bin")
    for rows in (1, 3):
        assert by_loader(folder, tmp_path / f"{rows}.npy", tmp_path / f"out{rows}.npy") == ""
        found = np.load(tmp_path / f"out{rows}.npy")
        np.testing.assert_allclose(found, expected(model, image[:rows]), atol=1e-4)
    assert "There is no bucket for (5, 64)" in by_loader(
        folder, tmp_path / "5.npy", tmp_path / "none.npy"
    )
    program = built(folder, tmp_path)
    for rows in (1, 3):
        words = [program, folder / "model.so", tmp_path / f"{rows}.bin", "--", tmp_path / "out.bin"]
        subprocess.run([*map(str, words)], check=True, env={})
        assert (tmp_path / "out.bin").read_bytes() == np.load(tmp_path / f"out{rows}.npy").tobytes()
    (tmp_path / "half.bin").write_bytes(bytes(64 * 4 + 4))
    for name, said in (("5.bin", "compiled for no such shapes"), ("half.bin", "rows of 256 bytes")):
        words = [program, folder / "model.so", tmp_path / name, "--", tmp_path / "out.bin"]
        done = subprocess.run([*map(str, words)], capture_output=True, text=True, env={})
        assert done.returncode == 1
        assert said in done.stderr


def test_a_bucket_that_was_not_measured_keeps_its_default_schedules(
    model: str, image: np.ndarray, tmp_path: Path
) -> None:
    tuned(model, tmp_path / "run", trials="1")
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["measurements"]["total"] == 1
    assert all(bucket["verified"]["ok"] for bucket in summary["buckets"])
    called = cr.load(tmp_path / "run")
    np.testing.assert_allclose(called(image), expected(model, image), rtol=1e-5, atol=1e-5)


def test_rows_that_depend_on_each_other_are_not_padded(tmp_path: Path, image: np.ndarray) -> None:
    folder = tmp_path / "run"
    said = tuned(open_batch(tmp_path / "centred.onnx", centred=True), folder)
    assert "no other shape, as the outputs depend on the whole batch" in said
    loaded = cr.load(folder)
    np.testing.assert_allclose(
        loaded(image), expected(str(tmp_path / "centred.onnx"), image - image.mean(0)), atol=1e-4
    )
    with pytest.raises(cr.UserError, match="and may not pad its inputs"):
        loaded(image[:3])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--input", "x:{1,2x64"), "The braces of the input 'x:{1,2x64' do not list extents"),
        (("--input", "x:{}x64"), "do not list extents; write them like x:{1,2,4,8}x3x224x224."),
        (("--input", "x:{1,b}x64"), "do not list extents"),
        (("--input", "x:{1,2}x{64,64,64}"), "The lists in braces have 2 and 3 extents"),
        (("--input", "x:{2,1,2}x64"), "The bucket 2 is listed twice; list each bucket once."),
        (("--input", "x:{0,1}x64"), "has an extent of 0"),
        (("--input", "y:{1,2}x64"), "has no input 'y'"),
        (("--input", "x:{1,2}x64", "--example", "x.npz"), "--example has the values of one shape"),
        (("--input", "x:{1,2}x64", "--target", "cuda:sm_80"), "--target names a GPU"),
        (("--input", "x:{1,2}x64", "--build-only"), "lists buckets, which are for chameleon tune"),
    ],
)
def test_buckets_that_cannot_be_get_a_sentence(
    model: str, words: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    result = CliRunner().invoke(app, ["tune", model, *words, *SERIAL, "--out", str(folder)])
    assert result.exit_code == 1
    assert said in result.stderr
    assert not folder.exists()


def test_a_run_of_other_buckets_is_not_gone_on_with(run: Path, model: str) -> None:
    words = ("--input", "x:{1,8}x64", *SERIAL, "--out", str(run), "--resume")
    code, err = refused("tune", model, *words)
    assert code == 1
    assert "has other members (bucket-1, bucket-4; asked for: bucket-1, bucket-8)" in err


def test_a_run_of_buckets_is_not_gone_on_with_as_a_zoo(
    run: Path, model: str, tmp_path: Path
) -> None:
    listed = tmp_path / "zoo.yaml"
    listed.write_text(f"models: [{{model: {model}, inputs: [x:4x64]}}]\nexplorer: random")
    before = {path: path.stat().st_mtime for path in run.rglob("*.json")}
    words = ("zoo", str(listed), *SERIAL[:2], "--trials", "4", "--out", str(run), "--resume")
    code, err = refused(*words)
    assert code == 1
    assert err == (
        f"Error: {run} is a run of buckets and no zoo; go on with it by chameleon tune {model} "
        f"--input 'x:{{4,1}}x64' --out {run} --resume, or choose another --out."
    )
    assert {path: path.stat().st_mtime for path in run.rglob("*.json")} == before


@pytest.mark.parametrize(
    "buckets", [(0, 1), (-4,), (1, 2.5), ("1", "4"), "14", 4, (True, 4), [[1, 4]], {1: 4}]
)
def test_batches_that_are_none_get_a_sentence(buckets: object, tmp_path: Path) -> None:
    with pytest.raises(cr.UserError) as caught:
        cr.tune("resnet-18", buckets=buckets, out=tmp_path / "run")  # type: ignore[arg-type]
    said = f"buckets= takes batches from 1 on, as (1, 2, 4), not {buckets!r}."
    assert str(caught.value) == said
    assert not (tmp_path / "run").exists()


def test_a_batch_that_is_listed_twice_gets_a_sentence(tmp_path: Path) -> None:
    module, x = torch.nn.Linear(4, 2), torch.rand(2, 4)
    with pytest.raises(cr.UserError, match="lists the batch 4 twice; list each batch once"):
        cr.tune(module, (x,), buckets=np.array([1, 4, 4]), out=tmp_path / "run")  # type: ignore[arg-type]
    assert not (tmp_path / "run").exists()


def test_a_file_of_one_batch_gets_a_sentence(dense: str, tmp_path: Path) -> None:
    code, _, err = chameleon(
        "tune", dense, "--input", "v0:{48,96}x64", *SERIAL, "--out", str(tmp_path / "run")
    )
    assert code == 1
    last = err.splitlines()[-1]
    assert "bucket-96" in last
    assert "does not fit" in last
    assert not os.path.exists(tmp_path / "run" / "model.so")


def test_a_module_is_tuned_for_batches_that_threads_call_at_once(tmp_path: Path) -> None:
    class Scaled(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.dense = torch.nn.Linear(64, 16)

        def forward(self, x: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
            return torch.relu(self.dense(x * scale))

    net, x, scale = Scaled().eval(), torch.rand(4, 64), torch.rand(64)
    model = cr.tune(
        *(net, (x, scale)),
        buckets=(4, 1),
        trials=12,
        engine="serial",
        explorer="random",
        compare=(),
        out=tmp_path / "run",
        quiet=True,
    )
    assert [one.shapes for one in model.buckets] == [((1, 64), (64,)), ((4, 64), (64,))]
    rows = [1 + number % 4 for number in range(40)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda n: model(x[:n], scale), rows))
    with torch.no_grad():
        for n, scores in zip(rows, found, strict=True):
            torch.testing.assert_close(scores, net(x[:n], scale), atol=1e-5, rtol=1e-5)
