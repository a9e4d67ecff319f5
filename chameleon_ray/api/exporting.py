"""Exports a finished run: the library, TVM's runtime, a manifest, and programs that load it."""

import importlib.util
import json
import platform
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from chameleon_ray.api.session_model import versions
from chameleon_ray.compiler.cpu_features import flags_of
from chameleon_ray.compiler.tvm_process import block_torch
from chameleon_ray.deployment.manifest import MANIFEST, Manifest, digests
from chameleon_ray.errors import UserError
from chameleon_ray.folder import RunFolder, ZooFolder
from chameleon_ray.measure.bench import MAIN
from chameleon_ray.report.loading import threads_of
from chameleon_ray.run_files import FILES

PROGRAMS = Path(__file__).parents[1] / "deployment" / "files"
RUNTIME = ("libtvm_runtime.so", "libtvm_runtime_extra.so")
FFI = "libtvm_ffi.so"
CPP = ("model.h", "cpu.h", "main.cc", "CMakeLists.txt")
PLACES = {"loader.py": "", "Dockerfile": ""} | dict.fromkeys(CPP, "cpp")
"""Folder of each file below the exported one."""


def export(run: Path, folder: Path) -> Manifest:
    """Writes what a server needs of a tuned model into a new directory.

    Args:
        run: The directory of a finished run.
        folder: The directory to make; it must be empty if it exists.

    Raises:
        UserError: The run is not finished, is for a GPU or another architecture, its model computes
            something else than the original or may do so, or the directory cannot be used.
        FolderError: The directory is not a run's.
    """
    with _held(run) as held:
        summary = _summary(held)
        if json.loads(summary["target"])["kind"] != "llvm":
            raise UserError(
                f"{run} is tuned for a GPU; only models for CPUs can be exported, load it with "
                "chameleon_ray.load."
            )
        _demand_sound(held, summary)
        try:
            if folder.exists() and any(folder.iterdir()):
                raise UserError(f"{folder} is not empty; choose another directory.")
            return _written(held, summary, folder)
        except OSError as error:
            raise UserError(f"Writing to {folder} failed: {error.strerror or error}.") from error


@contextmanager
def _held(run: Path) -> Iterator[RunFolder]:
    """Keeps other commands out of a run's directory."""
    bucketed = (run / FILES["zoo"]).exists() and (run / "model.so").exists()
    held = (ZooFolder if bucketed else RunFolder)(run, existing=True)
    try:
        yield held
    finally:
        held.close()


def _summary(run: RunFolder) -> dict[str, Any]:
    """Reads a run's summary.

    Raises:
        UserError: The run is not finished, or was summed up by another version.
    """
    if not run.summary.exists() or not run.library.exists():
        raise UserError(f"{run.path} is not finished; finish it with --resume.")
    try:
        summary = json.loads(run.summary.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{run.summary} is damaged ({error}); finish it with --resume.") from error
    if "inputs" not in summary and "buckets" not in summary:
        raise UserError(f"{run.summary} was written by another version; finish it with --resume.")
    return summary


def _demand_sound(run: RunFolder, summary: dict[str, Any]) -> None:
    """Raises a ``UserError`` where a server would get wrong outputs, or could load nothing."""
    right = [part["verified"]["ok"] for part in summary.get("buckets", [summary])]
    if False in right:
        raise UserError(
            f"The outputs of {run.library} differ from those of the original; do not deploy it."
        )
    if None in right:
        raise UserError(
            f"The outputs of {run.library} were compared with untuned TVM's only, and nobody knows "
            "whether those are right; tune it where ONNX Runtime or PyTorch can run the original."
        )
    if _architecture(run.library) != _architecture(_ffi() / "lib" / FFI):
        raise UserError(
            f"{run.library} is not for this machine's architecture ({platform.machine()}), but "
            "TVM's runtime here is; export it where it was tuned."
        )


def _architecture(library: Path) -> bytes:
    """Returns the architecture of a shared library, as its ELF header has it."""
    with library.open("rb") as file:
        return file.read(20)[18:]


def _written(run: RunFolder, summary: dict[str, Any], folder: Path) -> Manifest:
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy2(run.library, folder / "model.so")
    for name, place in PLACES.items():
        (folder / place).mkdir(exist_ok=True)
        shutil.copy(PROGRAMS / name, folder / place / name)
    known = versions()
    docker = folder / "Dockerfile"
    docker.write_text(docker.read_text().replace("@TVM_FFI@", known["apache-tvm-ffi"]))
    (folder / "lib").mkdir()
    for library in (*(_package("tvm") / "lib" / name for name in RUNTIME), _ffi() / "lib" / FFI):
        shutil.copy(library, folder / "lib" / library.name)
    for headers in ("tvm", "dlpack"):
        shutil.copytree(_ffi() / "include" / headers, folder / "cpp" / "include" / headers)
    block_torch()
    buckets = [
        {"entry": part.get("entry", MAIN), "inputs": part["inputs"], "outputs": part["outputs"]}
        for part in summary.get("buckets", [summary])
    ]
    manifest = Manifest(
        model=summary["model"],
        inputs=buckets[-1]["inputs"],
        outputs=buckets[-1]["outputs"],
        buckets=buckets,
        padded=summary.get("padded", []),
        target=summary["target"],
        machine=platform.machine(),
        threads=threads_of(summary["target"]) or 1,
        cpu_flags=flags_of(summary["target"]),
        needs=summary["needs"],
        versions=known | summary.get("timed_with", {}),
        files={},
    )
    (folder / "cpp" / "manifest.h").write_text(manifest.header(), encoding="utf-8")
    manifest = replace(manifest, files=digests(folder))
    (folder / MANIFEST).write_text(manifest.json(), encoding="utf-8")
    return manifest


def _ffi() -> Path:
    return _package("tvm_ffi")


def _package(name: str) -> Path:
    """Returns the folder of an installed package, without importing it."""
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0])
