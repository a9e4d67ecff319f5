"""LSTM, GRU and RNN of ONNX, in all their forms, against ONNX Runtime."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper
from tvm import relax
from tvm.ir import GenericConst

from chameleon_ray.compiler.frontend.load import ModelError, load
from chameleon_ray.compiler.kinds import LLVM
from chameleon_ray.compiler.passes.lower import lower
from tests.tvm.onnx_graph import (
    TARGET,
    Arrays,
    assert_like_onnxruntime,
    assert_same,
    by_onnxruntime,
    computed,
    graph,
)

STEPS, BATCH, INPUTS, HIDDEN = 5, 3, 4, 6
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def layer(
    kind: str,
    extras: str = "",
    runtime: str = "",
    steps: int = STEPS,
    **attributes: Any,
) -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
    """A layer with the inputs whose first letters are in ``extras``; those in ``runtime`` are fed.

    B is for biases, s for lengths of sequences, h and c for states, P for peepholes.
    """
    rng = np.random.default_rng(len(extras) + steps)
    count = 2 if attributes.get("direction") == "bidirectional" else 1
    gates, first = GATES[kind], bool(attributes.get("layout"))
    state = (BATCH, count, HIDDEN) if first else (count, BATCH, HIDDEN)
    shapes = {
        "x": (BATCH, steps, INPUTS) if first else (steps, BATCH, INPUTS),
        "W": (count, gates * HIDDEN, INPUTS),
        "R": (count, gates * HIDDEN, HIDDEN),
        "B": (count, 2 * gates * HIDDEN),
        "s": (BATCH,),
        "h": state,
        "c": state,
        "P": (count, 3 * HIDDEN),
    }
    arrays = {
        name: rng.uniform(-1, 1, shape).astype("float32")
        for name, shape in shapes.items()
        if name in "xWR" + extras
    }
    if "s" in arrays:
        arrays["s"] = np.array([2, steps, 3], "int32")
    inputs = [name if name in arrays else "" for name in shapes]
    inputs = inputs[:6] if kind != "LSTM" else inputs
    outputs = ["y", "last", "cell"][: 3 if kind == "LSTM" else 2]
    node = helper.make_node(kind, inputs, outputs, hidden_size=HIDDEN, **attributes)
    feeds = {name: array for name, array in arrays.items() if name in "x" + runtime}
    weights = {name: array for name, array in arrays.items() if name not in feeds}
    return graph([node], feeds, outputs, weights), feeds


@pytest.mark.parametrize(
    ("kind", "extras", "attributes"),
    [
        ("LSTM", "", {}),
        ("LSTM", "Bshc", {"direction": "reverse"}),
        ("LSTM", "BshcP", {"direction": "bidirectional", "clip": 0.4}),
        ("LSTM", "BP", {"input_forget": 1, "clip": 0.3}),
        (
            "LSTM",
            "B",
            {
                "direction": "bidirectional",
                "activations": [
                    *("HardSigmoid", "LeakyRelu", "Softsign"),
                    *("Sigmoid", "ThresholdedRelu", "ScaledTanh"),
                ],
                "activation_alpha": [0.3, 0.1, 0.05, 1.2],
                "activation_beta": [0.4, 0.7],
            },
        ),
        ("GRU", "", {}),
        ("GRU", "Bsh", {"direction": "bidirectional", "clip": 0.5}),
        ("GRU", "Bsh", {"direction": "bidirectional", "linear_before_reset": 1}),
        ("GRU", "B", {"direction": "reverse", "linear_before_reset": 1, "clip": 0.5}),
        ("GRU", "h", {"activations": ["Sigmoid", "Relu"], "linear_before_reset": 1}),
        ("RNN", "", {}),
        ("RNN", "Bsh", {"direction": "bidirectional"}),
        ("RNN", "Bh", {"activations": ["Affine"], "activation_alpha": [0.5], "clip": 0.9}),
        ("RNN", "Bh", {"activations": ["Elu"], "activation_alpha": [0.5]}),
        ("RNN", "Bh", {"activations": ["Softplus"], "direction": "reverse"}),
    ],
)
def test_layers_compute_what_onnxruntime_does(
    kind: str, extras: str, attributes: dict[str, Any], tmp_path: Path
) -> None:
    assert_like_onnxruntime(*layer(kind, extras, **attributes), tmp_path)


def test_weights_and_lengths_may_be_inputs(tmp_path: Path) -> None:
    model, feeds = layer("LSTM", "BshcP", "WRBshcP", direction="bidirectional")
    assert_like_onnxruntime(model, feeds, tmp_path)


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_sequences_may_come_first(kind: str, tmp_path: Path) -> None:
    model, feeds = layer(kind, "Bh", layout=1, direction="bidirectional")
    found = computed(model, feeds, tmp_path)
    (node,) = model.graph.node
    (layout,) = (one for one in node.attribute if one.name == "layout")
    node.attribute.remove(layout)
    for weight in model.graph.initializer:
        if weight.name == "h":
            array = onnx.numpy_helper.to_array(weight).transpose(1, 0, 2)
            weight.CopyFrom(onnx.numpy_helper.from_array(array, "h"))
    del model.graph.output[0].type.tensor_type.shape.dim[:]
    every, *last = in_other_order(model, feeds)
    assert_same(found, [every.transpose(2, 0, 1, 3), *(x.transpose(1, 0, 2) for x in last)])


def in_other_order(model: onnx.ModelProto, feeds: dict[str, np.ndarray]) -> Arrays:
    """Outputs by ONNX Runtime, which only knows the layout whose steps come first."""
    fed = {"x": feeds["x"].transpose(1, 0, 2)}
    again = graph(
        model.graph.node,
        fed,
        [output.name for output in model.graph.output],
        {w.name: onnx.numpy_helper.to_array(w) for w in model.graph.initializer},
    )
    return by_onnxruntime(again, fed)


def test_many_steps_have_the_layers_of_one(tmp_path: Path) -> None:
    model, feeds = layer("LSTM", "B", steps=40)
    assert_like_onnxruntime(model, feeds, tmp_path)


@pytest.mark.parametrize("scales", ["tensor", "column"])
def test_lstm_that_quantises_as_it_runs(scales: str, tmp_path: Path) -> None:
    # of one sequence: ONNX Runtime quantises each thread's share of several by itself
    model, feeds = layer("LSTM", "Bhc", direction="bidirectional")
    feeds["x"] = feeds["x"][:, :1]
    weights = {w.name: onnx.numpy_helper.to_array(w) for w in model.graph.initializer}
    weights |= {name: weights[name][:, :1] for name in "hc"}
    rng = np.random.default_rng(3)
    shape = (2,) if scales == "tensor" else (2, GATES["LSTM"] * HIDDEN)
    for name in "WR":
        size = weights[name].transpose(0, 2, 1).shape
        weights[name] = rng.integers(-100, 100, size, "int8")
        weights[f"{name} scale"] = rng.uniform(0.005, 0.01, shape).astype("float32")
        weights[f"{name} zero"] = np.zeros(shape, "int8")
    scaling = ["W scale", "W zero", "R scale", "R zero"]
    inputs = ["x", "W", "R", "B", "", "h", "c", "", *scaling]
    attributes = {"hidden_size": HIDDEN, "direction": "bidirectional"}
    outputs = ["y", "last", "cell"]
    node = helper.make_node(
        "DynamicQuantizeLSTM", inputs, outputs, domain="com.microsoft", **attributes
    )
    quantised = graph([node], feeds, outputs, weights, com_microsoft=1)
    assert_like_onnxruntime(quantised, feeds, tmp_path)


def test_steps_share_their_packed_weights(tmp_path: Path) -> None:
    model, _ = layer("LSTM", "B", steps=7)
    onnx.save(model, tmp_path / "model.onnx")
    lowered = lower(load(str(tmp_path / "model.onnx")).module, TARGET, LLVM)
    found = []

    def visit(value: Any) -> None:
        if isinstance(value, GenericConst) and getattr(value.ty, "ndim", 0) == 3:
            found.append(value)

    relax.analysis.post_order_visit(lowered["main"], visit)
    recurrent = [one for one in found if int(one.ty.shape[1]) == HIDDEN]
    assert len({one.value.data_ptr() for one in recurrent}) == 1


def test_unknown_activation_is_refused(tmp_path: Path) -> None:
    model, _ = layer("RNN", activations=["Mish"])
    onnx.save(model, tmp_path / "model.onnx")
    with pytest.raises(ModelError, match="activation 'Mish' is none of ONNX's"):
        load(str(tmp_path / "model.onnx"))
