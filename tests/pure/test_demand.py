"""Models and inputs that do not exist are refused before anything is started."""

import subprocess
import sys
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from chameleon_ray.compiler.frontend.inputs import InputSpec, ModelError
from chameleon_ray.compiler.frontend.load import demand


@pytest.fixture
def onnx_file(tmp_path: Path) -> Path:
    """A sum of ``x`` and a weight that is among the inputs, as old exporters write."""
    value = helper.make_tensor_value_info
    weight = helper.make_tensor("w", TensorProto.FLOAT, [2], [1.0, 2.0])
    inputs = [value("x", TensorProto.FLOAT, [2]), value("w", TensorProto.FLOAT, [2])]
    node = helper.make_node("Add", ["x", "w"], ["y"])
    outputs = [value("y", TensorProto.FLOAT, [2])]
    graph = helper.make_graph([node], "sum", inputs, outputs, [weight])
    path = tmp_path / "sum.onnx"
    onnx.save(helper.make_model(graph), path)
    return path


def test_what_exists_is_let_through(onnx_file: Path) -> None:
    demand("resnet-18", [InputSpec.parse("input:1,3,64,64")])
    demand(str(onnx_file), [InputSpec.parse("x:2")])
    demand(str(onnx_file), [InputSpec.parse("x=[1,2]")])
    demand("package.module:factory", [InputSpec.parse("anything:1")])


@pytest.mark.parametrize("text", ["w:2", "z:2", "z=1"])
def test_an_onnx_input_that_is_not_there(text: str, onnx_file: Path) -> None:
    with pytest.raises(ModelError, match=r"has no input '[wz]'; its inputs are: x\."):
        demand(str(onnx_file), [InputSpec.parse(text)])


def test_a_model_or_an_input_of_the_zoo_that_is_not_there() -> None:
    with pytest.raises(ModelError, match=r"no input 'x'; its inputs are: input\. Say --input"):
        demand("resnet-18", [InputSpec.parse("x:1,3,64,64")])
    with pytest.raises(ModelError, match="There is no model 'resnet-17'"):
        demand("resnet-17")
    with pytest.raises(ModelError, match=r"none\.onnx does not exist"):
        demand("none.onnx")


def test_nothing_heavy_is_imported_for_it(onnx_file: Path) -> None:
    code = f"""
import sys
from chameleon_ray.compiler.frontend.inputs import InputSpec
from chameleon_ray.compiler.frontend.load import demand
demand({str(onnx_file)!r}, [InputSpec.parse("x:2")])
demand("resnet-18", [])
print([name for name in ("tvm", "torch", "ray") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
