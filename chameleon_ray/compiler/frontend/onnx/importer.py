"""Translates an ONNX graph to a Relax module, node by node."""

import re
from collections.abc import Mapping, Sequence
from contextlib import nullcontext

import numpy as np
import onnx
from onnx import helper
from tvm import relax
from tvm.ir import IRModule

from chameleon_ray.compiler.frontend.inputs import InputSpec, ModelError
from chameleon_ray.compiler.frontend.model import reason
from chameleon_ray.compiler.frontend.naming import named as with_names
from chameleon_ray.compiler.frontend.onnx import tvm_converters
from chameleon_ray.compiler.frontend.onnx.converters import CONVERTERS
from chameleon_ray.compiler.frontend.onnx.folding import folded, sizes
from chameleon_ray.compiler.frontend.onnx.implied import static_shape
from chameleon_ray.compiler.frontend.onnx.node import (
    Converter,
    Declared,
    Key,
    Node,
    Untranslatable,
    attributes_of,
    key_of,
)
from chameleon_ray.compiler.frontend.onnx.node_names import origin_of
from chameleon_ray.compiler.frontend.onnx.normalize import INSIDE, nodes
from chameleon_ray.compiler.origin import Origin
from chameleon_ray.compiler.relax import constant

BARE = (TypeError, AttributeError, LookupError, AssertionError, NameError, ArithmeticError)
"""Errors whose message says nothing about the model."""


def find(proto: onnx.NodeProto) -> Converter | None:
    """Returns the converter of a node's operator; None where there is none."""
    domain, kind = key = key_of(proto)
    return CONVERTERS.get(key) or (None if domain else tvm_converters.converter(kind))


def expands(key: Key) -> bool:
    """Whether an operator has no converter, so that its function, if it has one, has to do."""
    domain, kind = key
    return key not in CONVERTERS and (bool(domain) or tvm_converters.converter(kind) is None)


def translate(
    proto: onnx.ModelProto,
    weights: Mapping[str, np.ndarray],
    specs: Sequence[InputSpec],
    called: str,
) -> IRModule:
    """Makes a Relax module whose ``main`` takes the inputs in order.

    Args:
        proto: The model, in normal form.
        weights: Weights that are not in the model, by name.
        specs: The inputs, with static shapes.
        called: Name of the model in messages.

    Raises:
        ModelError: A node cannot be translated; the sentence names it.
    """
    return _Importer(proto, weights, called).module(specs)


class _Importer:
    """The values of a graph that are known so far, and the function that is being built."""

    def __init__(
        self, proto: onnx.ModelProto, weights: Mapping[str, np.ndarray], called: str
    ) -> None:
        self._proto, self._weights, self._called = proto, weights, called
        self._depth = 0
        self._versions = {
            "" if one.domain == "ai.onnx" else one.domain: one.version for one in proto.opset_import
        }
        self._builder = relax.BlockBuilder()
        self._values: dict[str, relax.Expr] = {}
        self._names: dict[relax.Expr, Origin] = {}
        self._texts: set[str] = set()
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
        return with_names(module, self._names)

    def _graph(self, graph: onnx.GraphProto) -> list[relax.Expr]:
        """Translates the nodes of a graph; returns its outputs."""
        for weight in graph.initializer:
            if weight.data_type == onnx.TensorProto.STRING:
                self._texts.add(weight.name)
                continue
            array = onnx.numpy_helper.to_array(weight)
            self._values[weight.name] = constant(array, str(array.dtype))
        for proto in graph.node:
            self._node(proto)
        return [self._value(output.name) for output in graph.output]

    def _value(self, name: str) -> relax.Expr:
        """Returns the value of a name; a weight is copied when it is first read."""
        if name in self._texts:
            raise Untranslatable("it reads text, which cannot be computed with; export it without")
        if name not in self._values and name in self._weights:
            array = self._weights[name]
            self._values[name] = constant(array, str(array.dtype))
        return self._values[name]

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
        try:
            self._bind(proto, self._converted(proto, convert))
        except ModelError:
            raise
        except Untranslatable as why:
            raise ModelError(
                f"{self._called}: {_place(proto)} cannot be translated: {why}."
            ) from why
        except Exception as error:
            words = "its converter fails" if isinstance(error, BARE) else reason(error)
            raise ModelError(
                f"{self._called}: {_place(proto)} cannot be translated ({words}); simplify the "
                "model, or export it with another operator set."
            ) from error

    def _converted(
        self, proto: onnx.NodeProto, convert: Converter
    ) -> relax.Expr | Sequence[relax.Expr]:
        node = Node(
            proto=proto,
            version=self._versions.get(key_of(proto)[0], 1),
            inputs=tuple(self._value(name) if name else None for name in proto.input),
            attributes=attributes_of(proto),
            outputs=tuple(self._declared.get(name, Declared()) for name in proto.output),
            builder=self._builder,
            convert_graph=self._inner,
        )
        known = sizes(node)
        if known is None and self._depth:  # outside, it has been done before
            known = folded(node)
        if known is not None:
            return [constant(array, str(array.dtype)) for array in known]
        return _empty(node) or convert(node)

    def _bind(self, proto: onnx.NodeProto, value: relax.Expr | Sequence[relax.Expr]) -> None:
        """Keeps a node's outputs under their names."""
        if isinstance(value, relax.Expr):
            value = self._parts(self._builder.normalize(value))
        for name, part in zip(proto.output, value, strict=False):
            if name:
                part = self._builder.normalize(part)
                unbound = isinstance(part, relax.TupleGetItem)  # TVM's converters take it wrongly
                self._values[name] = self._builder.emit(part) if unbound else part
                self._names.setdefault(self._values[name], origin_of(proto))
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


def _empty(node: Node) -> list[relax.Expr]:
    """Returns the outputs of a node that makes no elements; none where it makes any."""
    pairs = [(output.shape, output.dtype) for output in node.outputs]
    if not all(shape is not None and dtype and 0 in shape for shape, dtype in pairs):
        return []
    return [relax.op.zeros(shape, dtype) for shape, dtype in pairs]  # empty constants do not load


def named(proto: onnx.NodeProto) -> str:
    """Returns an operator's name for people, with its domain where that is not ONNX's own.

    Where it is part of an operator's expansion, this one is named, too.
    """
    domain, kind = key_of(proto)
    outer = f" (of {proto.name.partition(INSIDE)[0]})" if INSIDE in proto.name else ""
    return f"{domain}.{kind}{outer}" if domain else f"{kind}{outer}"


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
    dtype = helper.tensor_dtype_to_np_dtype(tensor.elem_type) if tensor.elem_type else None
    return Declared(static_shape(tensor), None if dtype is None else np.dtype(dtype).name)
