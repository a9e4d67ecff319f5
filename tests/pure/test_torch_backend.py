"""Torch's backend: which libraries it uses, and what tells one graph's library from another's."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from chameleon_ray.errors import UserError
from chameleon_ray.interface.torch_backend import Library, modes, usable


def test_a_library_that_computes_something_else_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "model.so").touch()
    summary = {"inputs": [], "outputs": [], "verified": {"ok": False}}
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    with pytest.raises(UserError, match="was found to compute something else; it is unused"):
        usable(tmp_path)


def test_types_that_autocast_decides_have_libraries_of_their_own() -> None:
    plain = modes()
    with torch.autocast("cpu", torch.bfloat16):
        assert modes() != plain
    assert modes() == plain


def test_a_graph_without_inputs_gives_tensors() -> None:
    closed: Any = SimpleNamespace(outputs=["ones"])
    (outputs,) = Library(None, lambda: np.ones(3, "float32"), closed, [], [], [])()  # type: ignore[arg-type]
    assert torch.equal(outputs, torch.ones(3))
