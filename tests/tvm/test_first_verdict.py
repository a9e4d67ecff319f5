"""The first verdict on imported models: right, wrong, not comparable, and not to be run."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from math import inf
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tvm import relax

from chameleon_ray.api.culprit import culprit
from chameleon_ray.api.first_verdict import ImportedWronglyError, judge
from chameleon_ray.api.model_process import ModelProcess
from chameleon_ray.compiler.apply import UncompilableError, compile_as_imported
from chameleon_ray.compiler.frontend.onnx.exposed import expose
from chameleon_ray.compiler.kinds import LLVM
from chameleon_ray.compiler.prepared import Prepared
from chameleon_ray.errors import UserError
from chameleon_ray.measure.cores import available
from chameleon_ray.measure.example import Example
from chameleon_ray.options import Request
from tests.tvm.test_precision import module

node = helper.make_node


class Forger(ModelProcess):
    """Imports a model as an importer would that is wrong about its second product.

    What is added to that product's weights is in ``off``.
    """

    off = 1.0

    def prepare(self, request: Request) -> Prepared:
        right = super().prepare(request)
        proto = onnx.load(request.model)
        (weight,) = (one for one in proto.graph.initializer if one.name == "w1")
        weight.CopyFrom(
            numpy_helper.from_array(numpy_helper.to_array(weight) + np.float32(self.off), "w1")
        )
        forged = Path(request.model).with_suffix(".forged.onnx")
        onnx.save(proto, forged)
        wrong = super().prepare(replace(request, model=str(forged)))
        return replace(wrong, name=right.name, examples=right.examples)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three products, one after the other, and a comparison."""
    rng = np.random.default_rng(0)
    weights = {f"w{n}": rng.standard_normal((8, 8)).astype("float32") for n in range(3)}
    nodes = [
        node("MatMul", ["x", "w0"], ["a"], name="first"),
        node("MatMul", ["a", "w1"], ["b"], name="second"),
        node("Shape", ["b"], ["shape"]),
        node("Reshape", ["b", "shape"], ["c"]),
        node("MatMul", ["c", "w2"], ["y"], name="third"),
        node("Greater", ["y", "c"], ["more"]),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "products",
        [value("x", TensorProto.FLOAT, (4, 8))],
        [value("y", TensorProto.FLOAT, (4, 8)), value("more", TensorProto.BOOL, (4, 8))],
        [numpy_helper.from_array(w, name) for name, w in weights.items()],
    )
    path = tmp_path_factory.mktemp("models") / "products.onnx"
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), path)
    return path


@pytest.fixture(scope="module")
def process() -> Iterator[ModelProcess]:
    with ExitStack() as stack:
        yield ModelProcess(LLVM, available()[-1:], stack)


@pytest.fixture(scope="module")
def library(
    file: Path, process: ModelProcess, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Prepared, Path]:
    """The model, and its library."""
    prepared = process.prepare(Request(str(file)))
    path = tmp_path_factory.mktemp("libraries") / "untuned.so"
    process.compile_untuned(path)
    return prepared, path


@pytest.mark.parametrize(("patience", "examples"), [(inf, 3), (0.0, 1)])
def test_a_right_model(
    file: Path,
    process: ModelProcess,
    library: tuple[Prepared, Path],
    patience: float,
    examples: int,
) -> None:
    prepared, path = library
    assert prepared.outputs == ("y", "more")
    same, verified = judge(Request(str(file)), prepared, process, path, None, patience)
    assert same is prepared
    assert verified is not None
    assert verified.outcome == "verified"
    assert (verified.against, verified.examples) == ("ONNX Runtime", examples)


@pytest.mark.parametrize(("patience", "examples"), [(inf, 3), (0.0, 1)])
def test_a_model_that_only_tvm_can_run(
    file: Path,
    process: ModelProcess,
    library: tuple[Prepared, Path],
    patience: float,
    examples: int,
) -> None:
    prepared, path = library
    alone = tuple(Example(example.inputs) for example in prepared.examples)
    unknown = replace(prepared, examples=alone, reference_name=None)
    taken, verified = judge(Request(str(file)), unknown, process, path, None, patience)
    assert verified is None
    assert len(taken.examples) == examples
    again = process.check(path, taken)
    assert (again.outcome, again.against) == ("unverified", "untuned TVM")
    assert again.max_abs_err == 0


@pytest.mark.parametrize(("precision", "off"), [("float32", 1.0), ("bfloat16", 0.01)])
def test_a_wrong_import_is_refused_and_its_node_named(
    file: Path, tmp_path: Path, precision: str, off: float
) -> None:
    """On a CPU the untuned model is of float32, and has its tolerance."""
    with ExitStack() as stack:
        forger, path = Forger(LLVM, available()[-1:], stack), tmp_path / "untuned.so"
        request, forger.off = Request(str(file), precision=precision), off
        prepared = forger.prepare(request)
        forger.compile_untuned(path)
        with pytest.raises(ImportedWronglyError) as raised:
            judge(request, prepared, forger, path, None, inf)
    said = str(raised.value)
    assert "products is imported wrongly" in said
    assert "compared with ONNX Runtime, output 'y' differs by" in said
    assert "the first node to differ is 'second' (MatMul);" in said


@pytest.mark.parametrize(("reference", "words"), [(np.nan, "its weights"), (1.0, "export")])
def test_weights_are_blamed_where_the_reference_has_nan(
    file: Path, tmp_path: Path, reference: float, words: str
) -> None:
    """TVM computes NaN, and the reference does, too, or it does not."""
    with ExitStack() as stack:
        forger, path = Forger(LLVM, available()[-1:], stack), tmp_path / "untuned.so"
        request, forger.off = Request(str(file)), np.nan
        prepared = forger.prepare(request)
        forger.compile_untuned(path)
        examples = tuple(
            replace(one, outputs=tuple(np.full_like(a, reference) for a in one.outputs or ()))
            for one in prepared.examples
        )
        with pytest.raises(ImportedWronglyError) as raised:
            judge(request, replace(prepared, examples=examples), forger, path, None, inf)
    assert words in str(raised.value)


def test_what_cannot_be_run_is_refused(
    file: Path, process: ModelProcess, library: tuple[Prepared, Path], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.so"
    broken.write_bytes(b"no library")
    with pytest.raises(UserError, match="products cannot be run as TVM compiles it without tuning"):
        judge(Request(str(file)), library[0], process, broken, None, inf)


def test_what_cannot_be_compiled_is_refused(tmp_path: Path) -> None:
    counted = module("float32", relax.op.nonzero, lambda x: relax.op.permute_dims(x, [1, 0]))
    target = LLVM.resolve("llvm", 1)
    said = r"TVM cannot compile net \(R.permute_dims.*\); export the model"
    with pytest.raises(UncompilableError, match=said):
        compile_as_imported("net", counted, target, LLVM, tmp_path / "untuned.so")


def test_values_inside_a_file_become_outputs(file: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.onnx"
    nodes = expose(file, copy)
    assert nodes == {
        "a": "'first' (MatMul)",
        "b": "'second' (MatMul)",
        "c": "number 4 (Reshape)",
        "y": "'third' (MatMul)",
        "more": "number 6 (Greater)",
    }
    assert [value.name for value in onnx.load(copy).graph.output] == list(nodes)


def test_no_node_is_named_where_none_differs(file: Path, process: ModelProcess) -> None:
    assert culprit(Request(str(file)), process, None) == ""
    assert culprit(Request("resnet-18"), process, None) == ""
