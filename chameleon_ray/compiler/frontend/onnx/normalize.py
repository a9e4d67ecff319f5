"""Brings ONNX graphs to a normal form: no functions, no open shapes, constants as initialisers."""

from collections.abc import Callable, Iterator, Sequence

import onnx
from onnx import TypeProto, defs, helper, inliner

from chameleon_ray.compiler.frontend.inputs import InputSpec
from chameleon_ray.compiler.frontend.onnx.node import Key, key_of
from chameleon_ray.compiler.frontend.onnx.node_names import WHOLE, whole_name
from chameleon_ray.compiler.frontend.onnx.shapes import fix_inputs, fix_shapes

EXPANDED = "chameleon.expanded"
"""Domain of the functions that operators are replaced by, until they are inlined."""
INSIDE = "::"
"""What is between an operator's type and the rest, in names of nodes that it is expanded to."""
DEEPEST = 10
"""Most times that an operator's function may be made of operators that are expanded themselves."""


def normalize(
    proto: onnx.ModelProto, specs: Sequence[InputSpec], expands: Callable[[Key], bool]
) -> onnx.ModelProto:
    """Returns a model of the same outputs that is easier to translate.

    Functions of the model are inlined, and operators that ONNX defines by a function are replaced
    by this function. Then all that follows from constants and shapes is computed.

    Args:
        proto: The model without its large weights; it is changed.
        specs: The model's inputs.
        expands: Says whether an operator is to be replaced by its function.
    """
    for one in (*proto.opset_import, *nodes(proto.graph)):
        one.domain = one.domain if one.domain != "ai.onnx" else ""
    fix_inputs(proto, specs)
    if proto.functions:
        proto = inliner.inline_local_functions(proto, True)
    proto = fix_shapes(proto)
    for _ in range(DEEPEST):
        if not _expand(proto, expands):
            break
        proto = fix_shapes(inliner.inline_local_functions(proto, True))
    return proto


def nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Yields the nodes of a graph and of the graphs in their attributes."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from nodes(inner)


def has_function(node: onnx.NodeProto) -> bool:
    """Whether ONNX defines a node's operator by a function, in some version."""
    domain, kind = key_of(node)
    try:
        schema = defs.get_schema(kind, domain)
    except defs.SchemaError:
        return False
    return bool(schema.has_function or schema.has_context_dependent_function)


def _expand(proto: onnx.ModelProto, expands: Callable[[Key], bool]) -> bool:
    """Makes calls of functions of the operators to expand; returns whether there were any."""
    versions = {one.domain: one.version for one in proto.opset_import}
    types = {value.name: value.type for value in _values(proto.graph)}
    for weight in proto.graph.initializer:
        types[weight.name] = helper.make_tensor_type_proto(weight.data_type, weight.dims)
    for node in nodes(proto.graph):
        if not expands(key_of(node)):
            continue
        function = _function(node, versions, types)
        if function is None:
            continue
        function.domain, function.name = EXPANDED, f"{node.op_type}_{len(proto.functions)}"
        node.domain, node.op_type = function.domain, function.name
        proto.functions.append(function)
        for needed in function.opset_import:
            if needed.domain not in versions:
                versions[needed.domain] = needed.version
                proto.opset_import.append(needed)
    if proto.functions and EXPANDED not in versions:
        proto.opset_import.append(helper.make_opsetid(EXPANDED, 1))
    return bool(proto.functions)


def _function(
    node: onnx.NodeProto, versions: dict[str, int], types: dict[str, TypeProto]
) -> onnx.FunctionProto | None:
    """Returns the function that ONNX defines a node by, with the node's attributes complete.

    None where there is none for the types of its inputs.
    """
    domain, kind = key_of(node)
    version = versions.get(domain, 1)
    try:
        schema = defs.get_schema(kind, version, domain)
    except defs.SchemaError:
        return None
    given = {attribute.name for attribute in node.attribute}
    defaults = [one.default_value for one in schema.attributes.values() if one.name not in given]
    node.attribute.extend(one for one in defaults if one.name)
    text = node.SerializeToString()
    inputs = [types.get(name, TypeProto()).SerializeToString() for name in node.input]
    found = b""
    if schema.has_context_dependent_function:
        make = schema.get_context_dependent_function_with_opset_version
        for asked in (version, max(schema.context_dependent_function_opset_versions)):
            found = found or make(asked, text, inputs)
    elif schema.has_function:
        for asked in (version, max(schema.function_opset_versions)):
            found = found or schema.get_function_with_opset_version(asked)
    if not found:
        return None
    function = onnx.FunctionProto.FromString(found)
    for inner in function.node:
        inner.name = f"{kind}{INSIDE}{inner.output[0]}"
        inner.metadata_props.extend(node.metadata_props)
        inner.metadata_props.add(key=WHOLE, value=whole_name(node))
    return function


def _values(graph: onnx.GraphProto) -> Iterator[onnx.ValueInfoProto]:
    """Yields what is declared of the values of a graph, and of those inside it."""
    yield from (*graph.input, *graph.value_info, *graph.output)
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from _values(inner)
