"""ONNX files that are wrong, each named after what is wrong with it."""

from collections.abc import Sequence
from pathlib import Path

import onnx
from onnx import TensorProto, helper


def model(
    nodes: Sequence[onnx.NodeProto], shape: Sequence[int | str] = (4, 8), output: str = "y"
) -> onnx.ModelProto:
    """Makes a model of one input ``x``."""
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def node(inputs: str, output: str) -> onnx.NodeProto:
    """Makes a node that adds its inputs."""
    return helper.make_node("Sum", inputs.split(), [output], name=f"makes_{output}")


def write(folder: Path) -> None:
    """Writes all files to a folder."""
    good = [node("x x", "y")]
    models = {
        "undefined": model([node("x z", "y")]),
        "cyclic": model([node("x b", "a"), node("x a", "b"), node("a b", "y")]),
        "own": model([node("x y", "y")]),
        "no_output": model([node("x x", "a")]),
        "negative": model(good, (-4, 8)),
        "zero": model(good, (0, 8)),
        "open": model(good, ("batch", 8)),
    }
    for name, one in models.items():
        (folder / f"{name}.onnx").write_bytes(one.SerializeToString())
    whole = models["open"].SerializeToString()
    (folder / "truncated.onnx").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.onnx").write_bytes(b"")
    (folder / "noise.onnx").write_bytes(bytes(range(256)) * 16)
