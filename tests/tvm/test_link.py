"""Linking: what is made without a compiler, and what is said without a linker."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tvm
from tvm import relax

from chameleon_ray.compiler.apply import compile_model
from chameleon_ray.compiler.codegen.link import LinkError, find_linker, link
from chameleon_ray.compiler.kinds import LLVM
from tests.tvm import layers


def small_model() -> Any:
    return layers.model([layers.relu()])


def test_without_a_linker_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LinkError, match=r"no linker .*apt-get install binutils"):
        find_linker()
    with pytest.raises(LinkError, match="no linker"):
        compile_model(small_model(), layers.target(), LLVM, tmp_path / "model.so")
    assert list(tmp_path.glob("*.so")) == []


def test_a_linker_alone_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ld = shutil.which("ld")
    if ld is None:
        pytest.skip("this machine has no ld")
    (tmp_path / "ld").symlink_to(ld)
    monkeypatch.setenv("PATH", str(tmp_path))
    library = tmp_path / "model.so"
    compile_model(small_model(), layers.target(), LLVM, library)
    monkeypatch.undo()
    machine = relax.VirtualMachine(tvm.runtime.load_module(str(library)), tvm.cpu())
    x = np.random.default_rng(0).random((8, 64), dtype="float32") - 0.5
    given = machine["main"](tvm.runtime.tensor(x)).numpy()
    np.testing.assert_array_equal(given, np.maximum(x, 0))


def test_a_failed_link_says_what_the_linker_said(tmp_path: Path) -> None:
    broken = tmp_path / "broken.o"
    broken.write_bytes(b"no object")
    with pytest.raises(LinkError, match=r"Linking .*out.so failed: .*broken.o") as raised:
        link(str(tmp_path / "out.so"), [str(broken)])
    assert "\n" not in str(raised.value)


def test_objects_become_a_library(tmp_path: Path) -> None:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("this machine has no C compiler to make an object with")
    source, made = tmp_path / "one.c", tmp_path / "one.o"
    source.write_text("int one(void) { return 1; }\n")
    subprocess.run([compiler, "-c", "-fPIC", str(source), "-o", str(made)], check=True)
    link(str(tmp_path / "one.so"), [str(made)])
    assert (tmp_path / "one.so").stat().st_size > 0
