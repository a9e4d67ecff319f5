"""Translates an ONNX graph to a Relax module, node by node."""

import re
from collections.abc import Iterator, Sequence
from contextlib import nullcontext

import numpy as np
import onnx
from onnx import helper
from tvm import relax
from tvm.ir import IRModule

from chameleon_ray.compiler.frontend.inputs import InputSpec, ModelError
from chameleon_ray.compiler.frontend.model import reason
from chameleon_ray.compiler.frontend.onnx import tvm_converters
from chameleon_ray.compiler.frontend.onnx.converters import CONVERTERS
from chameleon_ray.compiler.frontend.onnx.folding import folded
from chameleon_ray.compiler.frontend.onnx.node import (
    Converter,
    Declared,
    Node,
    Untranslatable,
    attributes_of,
    key_of,
)
from chameleon_ray.compiler.relax import constant


def find(proto: onnx.NodeProto) -> Converter | None:
    """Returns the converter of a node's operator; None where there is none."""
    domain, kind = key = key_of(proto)
    return CONVERTERS.get(key) or (None if domain else tvm_converters.converter(kind))


def translate(proto: onnx.ModelProto, specs: Sequence[InputSpec], called: str) -> IRModule:
    """Makes a Relax module whose ``main`` takes the inputs in order.

    Args:
        proto: The model, whose operators all have converters.
        specs: The inputs, with static shapes.
        called: Name of the model in messages.

    Raises:
        ModelError: A node cannot be translated; the sentence names it.
    """
    return _Importer(proto, called).module(specs)


class _Importer:
    """The values of a graph that are known so far, and the function that is being built."""

    def __init__(self, proto: onnx.ModelProto, called: str) -> None:
        self._proto, self._called = proto, called
        self._depth = 0
        self._versions = {
            "" if one.domain == "ai.onnx" else one.domain: one.version for one in proto.opset_import
        }
        self._builder = relax.BlockBuilder()
        self._values: dict[str, relax.Expr] = {}
        graph = proto.graph
        self._declared = _declarations((*graph.input, *graph.value_info, *graph.output))

    def module(self, specs: Sequence[InputSpec]) -> IRModule:
        graph, builder = self._proto.graph, self._builder
        params = [
            relax.Var(_identifier(spec.name, place), relax.TensorType(spec.shape, spec.dtype))
            for place, spec in enumerate(specs)
        ]
        self._values |= {spec.name: param for spec, param in zip(specs, params, strict=True)}
        chooses = any(key_of(node) == ("", "If") for node in nodes(graph))
        with builder.function("main", params):
            with nullcontext() if chooses else builder.dataflow():  # no choice in a dataflow block
                outputs = self._graph(graph)
                whole = outputs[0] if len(outputs) == 1 else relax.Tuple(outputs)
                whole = whole if chooses else builder.emit_output(whole)
            builder.emit_func_output(whole)
        module = builder.get()
        module["main"] = module["main"].with_attrs({"num_input": len(params)})
        return module

    def _graph(self, graph: onnx.GraphProto) -> list[relax.Expr]:
        """Translates the nodes of a graph; returns its outputs."""
        for weight in graph.initializer:
            array = onnx.numpy_helper.to_array(weight)
            self._values[weight.name] = constant(array, array.dtype)
        for proto in graph.node:
            self._node(proto)
        return [self._values[output.name] for output in graph.output]

    def _inner(
        self, graph: onnx.GraphProto, inputs: Sequence[relax.Expr | None]
    ) -> list[relax.Expr]:
        """Translates a graph inside a node, which sees the names of the graph around it."""
        outer, declared = dict(self._values), dict(self._declared)
        self._declared |= _declarations((*graph.value_info, *graph.output))
        pairs = zip(graph.input, inputs, strict=True)
        self._values |= {value.name: given for value, given in pairs if given is not None}
        self._depth += 1
        outputs = self._graph(graph)
        self._depth -= 1
        self._values, self._declared = outer, declared
        return outputs

    def _node(self, proto: onnx.NodeProto) -> None:
        convert = find(proto)
        if convert is None:
            raise ModelError(
                f"{self._called} uses the ONNX operator {named(proto)}, for which there is no "
                "converter; export the model without it."
            )
        node = Node(
            proto=proto,
            version=self._versions.get(key_of(proto)[0], 1),
            inputs=tuple(self._values[name] if name else None for name in proto.input),
            attributes=attributes_of(proto),
            outputs=tuple(self._declared.get(name, Declared()) for name in proto.output),
            builder=self._builder,
            convert_graph=self._inner,
        )
        try:
            known = folded(node) if self._depth else None  # outside, it has been done before
            arrays = None if known is None else [constant(x, str(x.dtype)) for x in known]
            self._bind(proto, convert(node) if arrays is None else arrays)
        except ModelError:
            raise
        except Untranslatable as why:
            raise ModelError(
                f"{self._called}: {_place(proto)} cannot be translated: {why}."
            ) from why
        except Exception as error:
            raise ModelError(
                f"{self._called}: {_place(proto)} cannot be translated ({reason(error)}); simplify "
                "the model, or export it with another operator set."
            ) from error

    def _bind(self, proto: onnx.NodeProto, value: relax.Expr | Sequence[relax.Expr]) -> None:
        """Keeps a node's outputs under their names."""
        if isinstance(value, relax.Expr):
            value = self._parts(self._builder.normalize(value))
        for name, part in zip(proto.output, value, strict=False):
            if name:
                self._values[name] = self._builder.normalize(part)
        missing = [name for name in proto.output[len(value) :] if name]
        if missing:
            raise Untranslatable(f"its output {missing[0]!r} is not supported; export without it")

    def _parts(self, value: relax.Expr) -> list[relax.Expr]:
        """Lists the parts of a value that may be a tuple."""
        if isinstance(value, relax.Tuple):
            return list(value.fields)
        if isinstance(value.ty, relax.TupleType):
            whole = self._builder.emit(value)
            places = range(len(value.ty.fields))
            return [self._builder.emit(relax.TupleGetItem(whole, place)) for place in places]
        return [value]


def nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Yields the nodes of a graph and of the graphs in their attributes."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from nodes(inner)


def named(proto: onnx.NodeProto) -> str:
    """Returns an operator's name for people, with its domain where that is not ONNX's own."""
    domain, kind = key_of(proto)
    return f"{domain}.{kind}" if domain else kind


def _place(proto: onnx.NodeProto) -> str:
    """Names a node for people, by its own name or that of its output."""
    name = proto.name or next((name for name in proto.output if name), "")
    return f"the node {name!r} ({named(proto)})"


def _identifier(name: str, place: int) -> str:
    """Returns a name that is a valid variable in Relax."""
    plain = re.sub(r"\W", "_", name, flags=re.ASCII)
    return plain if plain[:1].isalpha() or plain[:1] == "_" else f"input{place}_{plain}"


def _declarations(values: Sequence[onnx.ValueInfoProto]) -> dict[str, Declared]:
    return {value.name: _declared(value.type.tensor_type) for value in values}


def _declared(tensor: onnx.TypeProto.Tensor) -> Declared:
    dims = tensor.shape.dim
    static = tensor.HasField("shape") and all(dim.HasField("dim_value") for dim in dims)
    dtype = helper.tensor_dtype_to_np_dtype(tensor.elem_type) if tensor.elem_type else None
    return Declared(
        tuple(dim.dim_value for dim in dims) if static else None,
        None if dtype is None else np.dtype(dtype).name,
    )
