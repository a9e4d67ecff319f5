"""Layers carry the user's own names through import, folding, lowering, fusion and extraction."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
import tvm
import tvm_ffi
from onnx import helper
from torch import nn
from tvm import relax
from tvm.ir import IRModule, SourceName, Span

from chameleon_ray.compiler.frontend.load import load
from chameleon_ray.compiler.frontend.naming import named
from chameleon_ray.compiler.frontend.onnx import node_names
from chameleon_ray.compiler.kinds import KINDS, LLVM
from chameleon_ray.compiler.origin import Origin, origin_of, with_origins
from chameleon_ray.compiler.passes.lower import lower, lowerings
from chameleon_ray.compiler.passes.memory.lower_aware import lower_aware
from chameleon_ray.compiler.relax import bindings_of, operator
from chameleon_ray.compiler.spaces.extract import layer_digest
from chameleon_ray.compiler.spaces.lowerings import extract_all
from chameleon_ray.layer_names import title
from chameleon_ray.options import Scheduling
from tests.tvm import layers
from tests.tvm.onnx_graph import graph
from tests.tvm.quantized_graphs import Graph
from tests.tvm.quantized_graphs import imported as of_onnx
from tests.tvm.torch_modules import imported

PICTURE = np.zeros((1, 16, 14, 14), "float32")
RNG = np.random.default_rng(0)


class Block(nn.Module):
    """A residual block as ResNet has it, with a shortcut of its own."""

    def __init__(self, inputs: int = 16, outputs: int = 32) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, 2, padding=1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(outputs), nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.conv3 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.downsample = nn.Conv2d(inputs, outputs, 1, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.bn1(self.conv1(x)))
        y = torch.relu(self.conv3(torch.relu(self.bn2(self.conv2(y)))))
        return torch.relu(y + self.downsample(x))


class Blocks(nn.Sequential):
    """Two blocks and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.layer1, self.layer2 = Block(), Block(32)
        self.fc = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 16))


def called(mod: IRModule) -> list[str]:
    """The name of each layer and what it computes, in the order of the calls."""
    calls = [b for b in bindings_of(mod) if operator(b.value) == "relax.call_tir"]
    return [f"{o.name} · {o.what}" for o in (origin_of(b.var) or Origin("") for b in calls)]


def share(mod: IRModule) -> float:
    """The share of a lowered module's operations that is in layers with a name."""
    total = own = 0.0
    for binding in bindings_of(mod):
        if operator(binding.value) == "relax.call_tir":
            layer = tvm.IRModule({"main": mod[binding.value.args[0]]})
            flop = float(tvm.s_tir.analysis.estimate_tir_flops(layer))
            origin = origin_of(binding.var)
            total, own = total + flop, own + flop * bool(origin and origin.name)
    return own / total


def lowered(module: IRModule, **options: Any) -> IRModule:
    return lower(module, layers.tvm_target(), LLVM, **options)


@pytest.fixture(scope="module")
def blocks() -> IRModule:
    return imported(Blocks(), torch.zeros(1, 16, 14, 14)).module


def test_modules_of_torch_name_their_layers(blocks: IRModule) -> None:
    mod = lowered(blocks)
    assert [one for one in called(mod) if "conv" in one.partition("·")[2]] == [
        "layer1.conv1 · conv 3x3/2 16→32 @7x7 + relu",
        "layer1.conv2 · conv 3x3/1 32→32 @7x7 + relu",
        "layer1.downsample · conv 1x1/2 16→32 @7x7",
        "layer1.conv3 · conv 3x3/1 32→32 @7x7 + relu + add + relu",
        "layer2.conv1 · conv 3x3/2 32→32 @4x4 + relu",
        "layer2.conv2 · conv 3x3/1 32→32 @4x4 + relu",
        "layer2.downsample · conv 1x1/2 32→32 @4x4",
        "layer2.conv3 · conv 3x3/1 32→32 @4x4 + relu + add + relu",
    ]
    assert called(mod)[-1] == "fc.2 · matmul 32→16 @1"
    assert share(mod) == 1


def test_tasks_list_all_occurrences_and_lowerings_share_them(blocks: IRModule) -> None:
    twice = imported(
        nn.Sequential(*(nn.Conv2d(32, 32, 3, padding=1) for _ in range(3))),
        torch.zeros(1, 32, 14, 14),
    )
    first, *others = lowerings(twice.module, layers.tvm_target(), LLVM)
    tasks = [t for t in extract_all(first, others, layers.target(), LLVM) if t.flop > 1e5]
    assert len(tasks) > 1, "it has several lowerings"
    for task in tasks:
        assert task.nodes == ("0", "1", "2")
        assert title(task) == "0 (+2 more) · conv 3x3/1 32→32 @14x14"


@pytest.mark.parametrize("kind", ["llvm", "cuda"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_precisions_and_targets_keep_names(blocks: IRModule, kind: str, precision: str) -> None:
    gpu = {"kind": "cuda", "arch": "sm_90", "max_threads_per_block": 1024}
    target = layers.tvm_target() if kind == "llvm" else tvm.target.Target(gpu)
    mod = lower(blocks, target, KINDS[kind], precision=precision)
    assert share(mod) == 1
    found = called(mod)
    assert "layer1.downsample · conv 1x1/2 16→32 @7x7" in found
    assert any(one.startswith("layer2.conv3 · conv 3x3/1 32→32 @4x4 + relu + add") for one in found)


def test_models_of_short_floats_keep_names() -> None:
    model = imported(Blocks().half(), torch.zeros(1, 16, 14, 14).half())
    mod = lowered(model.module)
    assert share(mod) == 1
    assert "layer1.conv3 · conv 3x3/1 32→32 @7x7 + relu + add + relu" in called(mod)


def test_attention_has_the_name_of_its_module() -> None:
    layer = nn.TransformerEncoderLayer(64, 4, 128, batch_first=True, activation="gelu")
    mod = lowered(imported(layer, torch.zeros(1, 32, 64)).module)
    found = called(mod)
    assert share(mod) == 1
    assert "self_attn · attention @32x4x16" in found
    assert "linear1 · matmul 64→128 @32 + gelu" in found
    assert "linear2 · matmul 128→64 @32 + add" in found
    assert "norm1 · layer norm @32x64" in found


def test_exported_programs_keep_names(tmp_path: Path) -> None:
    program = torch.export.export(Blocks().eval(), (torch.zeros(1, 16, 14, 14),))
    torch.export.save(program, tmp_path / "blocks.pt2")
    mod = lowered(load(str(tmp_path / "blocks.pt2")).module)
    assert share(mod) == 1
    assert "layer2.downsample · conv 1x1/2 32→32 @4x4" in called(mod)


def test_memory_aware_parts_keep_names() -> None:
    model = load("swiftnet-a")
    mod = lower_aware("cell", model.module, layers.tvm_target(), LLVM, "NHWC", Scheduling())
    found = called(mod)
    assert share(mod) == 1
    assert any("part of conv 1x1" in one for one in found)
    assert not any(one.startswith(" ") for one in found)


def convolutions(names: Iterable[str], prefix: str = "") -> onnx.ModelProto:
    """A file of convolutions, a norm that is expanded to others, and a product."""
    rng = np.random.default_rng(0)
    nodes, weights = [], {}
    for number, name in enumerate(names):
        weights[f"w{number}"] = rng.standard_normal((16, 16, 3, 3)).astype("float32") / 12
        reads = [f"v{number}", f"w{number}"]
        made = helper.make_node("Conv", reads, [f"c{number}"], name, pads=[1] * 4)
        nodes += [made, helper.make_node("Relu", [f"c{number}"], [f"v{number + 1}"])]
    last = f"v{len(nodes) // 2}"
    weights |= {"scale": np.ones(16, "float32"), "shift": np.zeros(16, "float32")}
    norm = helper.make_node(
        "GroupNormalization", [last, "scale", "shift"], ["n"], prefix + "norm", num_groups=4
    )
    weights["flat"], weights["fc"] = np.array([1, -1]), np.ones((16 * 196, 8), "float32")
    nodes += [norm, helper.make_node("Reshape", ["n", "flat"], ["f"])]
    nodes.append(helper.make_node("MatMul", ["f", "fc"], ["out"], ""))
    return graph(nodes, {"v0": PICTURE}, ["out"], weights)


def test_nodes_of_onnx_name_their_layers() -> None:
    mod = lowered(of_onnx(convolutions(["/stem/Conv", ""]), {"v0": PICTURE}))
    found = called(mod)
    assert share(mod) == 1
    assert "/stem/Conv · conv 3x3/1 16→16 @14x14 + relu" in found
    assert "c1 · conv 3x3/1 16→16 @14x14 + relu" in found, "called after its output"
    assert "out · matmul 3136→8 @1" in found
    assert any(one.startswith("norm · ") for one in found), "expanded to other nodes"


def test_files_that_torch_has_written_tell_modules() -> None:
    model = convolutions(["node_Conv_1", "node_Conv_2"])
    conv, _, other = model.graph.node[:3]
    for node, scopes in ((conv, "['', 'layer1', 'layer1.0', 'conv2d']"), (other, "not a list")):
        node.metadata_props.add(key="pkg.torch.onnx.name_scopes", value=scopes)
    found = called(lowered(of_onnx(model, {"v0": PICTURE})))
    assert "layer1.0 · conv 3x3/1 16→16 @14x14 + relu" in found
    assert "node_Conv_2 · conv 3x3/1 16→16 @14x14 + relu" in found
    conv.input[1] = model.graph.initializer[0].name = "layer1.conv.weight"
    assert any(
        one.startswith("layer1.conv · ") for one in called(lowered(of_onnx(model, {"v0": PICTURE})))
    ), "a fused batch norm left its own scopes"


@pytest.mark.parametrize("scopes", ["5", "nonsense", "[" * 100_000, "{'a': 1}"])
def test_scopes_that_are_none_name_nothing(scopes: str) -> None:
    node = helper.make_node("Relu", ["x"], ["y"], name="relu")
    node.metadata_props.add(key="pkg.torch.onnx.name_scopes", value=scopes)
    assert node_names.origin_of(node).name == "relu"


def test_quantised_layers_keep_names() -> None:
    made = Graph()
    numbers = made.constant(RNG.integers(-127, 128, (32, 16, 3, 3)), "int8")
    weights = made.dequantized(numbers, np.full(32, 0.02), np.zeros(32), "int8", axis=0)
    conv = made.add("Conv", made.both("x", 0.05, 120), weights, pads=[1] * 4)
    made.nodes[-1].name = "features.0"
    out = made.both(made.add("Relu", conv), 0.1, 0)
    inputs = {"x": PICTURE}
    found = called(lowered(of_onnx(made.model(inputs, [out]), inputs)))
    assert any(one.startswith("features.0 · conv 3x3/1 16→32 @14x14") for one in found), found


def test_names_change_no_loops_and_no_digests() -> None:
    plain, other = (
        of_onnx(convolutions(names, prefix), {"v0": PICTURE})
        for names, prefix in ((["", ""], ""), (["\u202ea" * 200, "<b>"], "x"))
    )
    assert tvm_ffi.structural_hash(plain) == tvm_ffi.structural_hash(other)
    mute = with_origins(plain, {b.var: Origin("") for b in bindings_of(plain)})
    mods = [lowered(one) for one in (plain, other, mute)]
    digests = [
        {
            v.name_hint: layer_digest(f, "")
            for v, f in mod.functions.items()
            if v.name_hint != "main"
        }
        for mod in mods
    ]
    assert digests[0] == digests[1] == digests[2]
    assert tvm_ffi.structural_equal(mods[0], mods[1])
    assert tvm_ffi.structural_equal(mods[0], mods[2])
    assert "\u202ea" * 200 in called(mods[1])[1], "as the file has it"


def test_spans_of_others_are_names() -> None:
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType((4, 8), "float32"))
    with builder.function("main", [x]):
        with builder.dataflow():
            made = builder.emit(relax.op.matmul(x, relax.const(np.ones((8, 4), "float32"))))
            made = builder.emit_output(made)
        builder.emit_func_output(made)
    mod = builder.get()
    assert called(lowered(mod)) == [" · matmul @4x4"]
    first = bindings_of(mod)[0]
    var = relax.DataflowVar("v", first.var.ty, Span(SourceName("theirs"), 0, 0, 0, 0))
    assert origin_of(var) == Origin("theirs")
    assert called(lowered(named(mod, {first.var: Origin("mine")}))) == ["mine · matmul 8→4 @4"]
