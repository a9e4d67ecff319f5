"""Names that a page or a terminal might obey."""

import shutil

import onnx
from onnx import TensorProto, helper

from tests.hostile.stage import Ended, Stage, attempt

NAME = "a name"
ESCAPES = "a\x1b]0;owned\x07\x1b[2J\x1b[31mb"
MARKUP = "<script>alert(1)</script>[bold red]{x}</style>"


def named(stage: Stage, text: str) -> str:
    """Writes a model in which everything has a name."""
    nodes = [helper.make_node("MatMul", [text + "x", text + "w"], [text + "y"], name=text)]
    weights = helper.make_tensor(text + "w", TensorProto.FLOAT, (8, 16), [0.5] * 128)
    graph = helper.make_graph(
        nodes,
        text,
        [helper.make_tensor_value_info(text + "x", TensorProto.FLOAT, (4, 8))],
        [helper.make_tensor_value_info(text + "y", TensorProto.FLOAT, (4, 16))],
        [weights],
    )
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), stage.folder / "m.onnx")
    return "m.onnx"


@attempt(NAME, "in a model has markup")
def markup(stage: Stage) -> Ended:
    ended = stage.tune(named(stage, MARKUP))
    page = (stage.folder / "run" / "report.html").read_text()
    assert "<script>alert(1)" not in page, "markup in the page"
    return ended


@attempt(NAME, "in a model has escapes of terminals")
def escapes(stage: Stage) -> Ended:
    return stage.tune(named(stage, ESCAPES))


@attempt(NAME, "of a file has escapes and markup")
def file_escapes(stage: Stage) -> Ended:
    name = "a\x1b[31m[bold]b.onnx"
    shutil.copy(stage.folder / "dense.onnx", stage.folder / name)
    return stage.tune(name)


@attempt(NAME, "that does not exist has escapes", 1, r"\x1b[2J", quick=True)
def unknown(stage: Stage) -> Ended:
    return stage.tune("no-\x1b[2J-such")


@attempt(NAME, "of an input has line ends and escapes", 1, quick=True)
def inputs(stage: Stage) -> Ended:
    return stage.tune("dense.onnx", "--input", "x\n\x1b[2J:1x2")
