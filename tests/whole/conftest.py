"""What several files look at, made once: a model that is quickly imported, a run that is over."""

from pathlib import Path

import pytest

from tests.whole.command import SEARCHED, tuned
from tests.whole.onnx_net import dense_layers


@pytest.fixture(scope="session")
def dense(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The layer of ``net.dense`` as a file."""
    return dense_layers(tmp_path_factory.mktemp("models") / "dense.onnx", 64, 192)


@pytest.fixture(scope="session")
def serial(dense: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a run without Ray that is over; who changes it takes a copy."""
    compared = (*SEARCHED, "--compare", "onnxruntime")
    return tuned(tmp_path_factory.mktemp("runs") / "serial", dense, *compared)
