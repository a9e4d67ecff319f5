"""An exported model: equal outputs in C++ and in Python without TVM's compiler, or a sentence."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from chameleon_ray.commands.app import app
from chameleon_ray.compiler.cpu_features import FLAGS, flags_here
from chameleon_ray.deployment.manifest import Manifest, digests

OTHER = {"entry": "main", "inputs": [{"name": "x", "shape": [1], "dtype": "int8"}], "outputs": []}
HALF = {"name": "x", "shape": [48, 64], "dtype": "bfloat16"}
TRY = """
import sys
sys.path.insert(0, sys.argv[1])
import loader, numpy
try:
    outputs = loader.Model()(numpy.load(sys.argv[2]))
    assert not {"tvm", "chameleon_ray"} & set(sys.modules)
    numpy.save(sys.argv[3], outputs[0])
except loader.ModelError as error:
    print(error)
"""


@pytest.fixture(scope="module")
def exported(serial: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported") / "dense"
    result = CliRunner().invoke(app, ["export", str(serial), str(folder)])
    assert result.exit_code == 0, result.output
    return folder


def by_loader(folder: Path, inputs: Path, outputs: Path) -> str:
    """What the exported loader says in a Python without this package; else it writes outputs."""
    program = [sys.executable, "-B", "-c", TRY, *map(str, (folder, inputs, outputs))]
    done = subprocess.run(program, capture_output=True, text=True, cwd=outputs.parent, env={})
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_outputs_are_equal_in_every_language(exported: Path, serial: Path, tmp_path: Path) -> None:
    image = np.random.default_rng(0).random((48, 64), np.float32)
    np.save(tmp_path / "in.npy", image)
    image.tofile(tmp_path / "in.bin")
    assert by_loader(exported, tmp_path / "in.npy", tmp_path / "out.npy") == ""
    by_python = np.load(tmp_path / "out.npy")
    program, library = built(exported, tmp_path), exported / "model.so"
    words = [program, library, tmp_path / "in.bin", "--", tmp_path / "out.bin"]
    subprocess.run(list(map(str, words)), check=True, env={})
    by_cpp = np.fromfile(tmp_path / "out.bin", np.float32).reshape(by_python.shape)
    assert by_cpp.tobytes() == by_python.tobytes()
    code = (
        "import sys, numpy, chameleon_ray as cr; "
        "numpy.save(sys.argv[3], cr.load(sys.argv[1])(numpy.load(sys.argv[2])))"
    )
    ours = tmp_path / "ours.npy"
    words = [sys.executable, "-c", code, serial, tmp_path / "in.npy", ours]
    subprocess.run(list(map(str, words)), check=True)
    assert np.load(ours).tobytes() == by_python.tobytes()


def test_wrong_arguments_of_the_program_write_nothing(exported: Path, tmp_path: Path) -> None:
    program, usage = built(exported, tmp_path), "give a file for each input, then --"
    size = np.zeros((48, 64), "float32").nbytes
    for name, more in (("in", 0), ("long", 1), ("out", -size)):
        (tmp_path / name).write_bytes(bytes(size + more))
    for words, said in (
        (["in", "out"], usage),
        (["in", "out", "--"], usage),
        (["in", "--"], usage),
        (["in", "--", "out", "more"], usage),
        (["long", "--", "out"], f"long does not hold {size} bytes"),
        (["in", "--", "none/out"], "none/out cannot be written"),
    ):
        command = [program, exported / "model.so", *words]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
        assert (done.returncode, (tmp_path / "out").read_bytes()) == (1, b"")
        assert said in done.stderr
    assert not (tmp_path / "more").exists()


def test_a_process_loads_two_exports(exported: Path, tmp_path: Path) -> None:
    shutil.copytree(exported, tmp_path / "copy")
    code = (
        "import sys, numpy; sys.path.insert(0, sys.argv[1]); import loader; "
        "from pathlib import Path; first, second = map(loader.Model, map(Path, sys.argv[1:])); "
        "x = numpy.ones((48, 64), 'float32'); assert (first(x)[0] == second(x)[0]).all()"
    )
    words = [sys.executable, "-B", "-c", code, exported, tmp_path / "copy"]
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def built(folder: Path, place: Path) -> Path:
    """Builds the C++ program as its CMake file does."""
    if shutil.which("cmake") is None:
        pytest.skip("There is no CMake to build the example with.")
    build = place / "build"
    for words in (["-S", folder / "cpp", "-B", build], ["--build", build]):
        done = subprocess.run(["cmake", *map(str, words)], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    return build / "main"


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        (
            "cpu_flags",
            ["sse4_2", "avx4096"],
            "This CPU lacks what model.so was compiled for: avx4096; tune the model on such a "
            "machine.",
        ),
        ("machine", "sparc", "model.so is for sparc, and this machine is"),
        ("files", {"model.so": "0"}, "model.so is missing or not the file that was exported"),
        ("inputs", [HALF], "The model takes or gives bfloat16, which NumPy does not have"),
        ("buckets", [OTHER], "The input 'x' is (48, 64)"),
        ("buckets", [OTHER, OTHER], "There is no bucket for (48, 64); the model has (1,); (1,)."),
    ],
)
def test_what_does_not_fit_gets_a_sentence(
    exported: Path, tmp_path: Path, key: str, value: Any, said: str
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(exported, folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {key: value}))
    np.save(tmp_path / "in.npy", np.zeros((48, 64), "float32"))
    assert said in by_loader(folder, tmp_path / "in.npy", tmp_path / "out.npy")


EMULATOR = "qemu-x86_64"
FEATURES = """
#include <cstdio>
#include "cpu.h"
int main() {
  for (const chameleon::Feature& one : chameleon::features)
    if (chameleon::Has(one.flag)) std::printf("%s ", one.flag);
}
"""
"""Prints which features CPUID says this machine has."""


@pytest.mark.parametrize("cpu", ["SandyBridge", "Nehalem"])
def test_a_program_on_a_lesser_cpu_says_so(exported: Path, tmp_path: Path, cpu: str) -> None:
    if shutil.which(EMULATOR) is None:
        pytest.skip(f"There is no {EMULATOR} to emulate a lesser CPU with (qemu-user).")
    words = [EMULATOR, "-cpu", cpu, built(exported, tmp_path), exported / "model.so"]
    done = subprocess.run([*map(str, words), "--time", "0"], capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert "Error: This CPU lacks what model.so was compiled for:" in done.stderr
    assert " avx2" in done.stderr


def test_a_program_for_a_greater_cpu_says_so(exported: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(exported, folder)
    header = folder / "cpp" / "manifest.h"
    text = header.read_text().replace("cpu_flags = {", 'cpu_flags = {"avx4096", ')
    header.write_text(text)
    words = [built(folder, tmp_path), folder / "model.so", "--time", "0"]
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == (
        "Error: This CPU lacks what model.so was compiled for: avx4096; tune the model on such a "
        "machine.\n"
    )


def test_cpp_and_linux_agree_on_this_cpu(exported: Path, tmp_path: Path) -> None:
    if (here := flags_here()) is None:
        pytest.skip("Linux lists no features of this CPU.")
    (tmp_path / "features.cc").write_text(FEATURES)
    words = ["c++", "-std=c++17", "-I", exported / "cpp", tmp_path / "features.cc", "-o"]
    subprocess.run(list(map(str, [*words, tmp_path / "features"])), check=True)
    done = subprocess.run([str(tmp_path / "features")], capture_output=True, text=True, check=True)
    known = {flag or name for name, flag in FLAGS.items()}
    assert set(done.stdout.split()) == known & here


def test_what_cannot_be_exported_gets_a_sentence(serial: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    for words, said in (
        ((serial, tmp_path / "full"), "full is not empty; choose another directory."),
        ((tmp_path, tmp_path / "new"), "holds no run"),
    ):
        result = CliRunner().invoke(app, ["export", *map(str, words)])
        assert result.exit_code == 1
        assert said in result.stderr
    assert not (tmp_path / "new").exists()


def test_what_must_not_be_deployed_gets_a_sentence(serial: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(serial, run)
    (tmp_path / "file").touch()
    demand_refused(run, tmp_path / "file", "Not a directory")
    library = (run / "model.so").read_bytes()
    (run / "model.so").write_bytes(library[:18] + b"\x16\0" + library[20:])  # of IBM's S/390
    demand_refused(run, tmp_path / "new", "is not for this machine's architecture")
    summary = json.loads((run / "summary.json").read_text())
    summary["verified"]["ok"] = False
    (run / "summary.json").write_text(json.dumps(summary))
    demand_refused(run, tmp_path / "new", "differ from those of the original; do not deploy it")
    summary["verified"]["ok"] = None
    (run / "summary.json").write_text(json.dumps(summary))
    demand_refused(run, tmp_path / "new", "were compared with untuned TVM's only, and nobody knows")
    (run / "summary.json").write_text("{")
    demand_refused(run, tmp_path / "new", "summary.json is damaged")


def demand_refused(run: Path, folder: Path, said: str) -> None:
    result = CliRunner().invoke(app, ["export", str(run), str(folder)])
    assert result.exit_code == 1
    assert said in result.stderr
    assert not (folder / "model.so").exists()


def test_files_that_are_not_loaded_may_be_changed(exported: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(exported, folder)
    shutil.rmtree(folder / "cpp")
    (folder / "Dockerfile").write_text("FROM scratch\n")
    np.save(tmp_path / "in.npy", np.zeros((48, 64), "float32"))
    assert by_loader(folder, tmp_path / "in.npy", tmp_path / "out.npy") == ""
    for name in ("lib/libtvm_runtime.so", "model.so"):
        with (folder / name).open("ab") as file:
            file.write(b"0")
        said = by_loader(folder, tmp_path / "in.npy", tmp_path / "out.npy")
        assert f"{name} is missing or not the file that was exported; export again." in said


def test_the_manifest_has_the_digest_of_every_other_file(exported: Path) -> None:
    manifest = json.loads((exported / "manifest.json").read_text())
    assert manifest["files"] == {
        name: digest for name, digest in digests(exported).items() if name != "manifest.json"
    }


def test_names_are_literals_of_cpp() -> None:
    rows = [{"name": 'a"b\\n?é', "shape": [1, 2], "dtype": "int8"}]
    known = {"outputs": [], "target": "", "machine": "", "cpu_flags": [], "needs": []}
    known |= {"padded": [], "buckets": [{"entry": "main", "inputs": rows, "outputs": []}]}
    manifest = Manifest("m", rows, threads=2, versions={}, files={}, **known)
    assert '{{"a\\042b\\134n\\077\\303\\251", {1, 2}, "int8"}}' in manifest.header()
    assert "threads = 2;" in manifest.header()
