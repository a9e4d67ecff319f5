"""What several files look at, made once: a model that is quickly imported, a run that is over."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.whole.command import SEARCHED, tuned


@pytest.fixture(scope="session")
def dense(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The layer of ``net.dense`` as a file, which is imported without torch, in a second."""
    rng = np.random.default_rng(0)
    weights = {"weights": rng.standard_normal((64, 192)) / 8, "bias": rng.standard_normal(192)}
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["x", "weights", "bias"], ["y"])],
        "dense",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (48, 64))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (48, 192))],
        [numpy_helper.from_array(w.astype("float32"), name) for name, w in weights.items()],
    )
    path = tmp_path_factory.mktemp("models") / "dense.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), path)
    return str(path)


@pytest.fixture(scope="session")
def serial(dense: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a run without Ray that is over; who changes it takes a copy."""
    return tuned(tmp_path_factory.mktemp("runs") / "serial", dense, *SEARCHED)
