"""Replaces If by the branch that a constant chooses, so that the shapes behind it are known."""

from collections.abc import Mapping

import onnx
from onnx import helper, numpy_helper

from chameleon_ray.compiler.frontend.onnx.node import key_of
from chameleon_ray.compiler.frontend.onnx.weights import densify


def choose(graph: onnx.GraphProto) -> bool:
    """Puts the nodes of chosen branches in the place of their If; returns whether there were any.

    Args:
        graph: The graph, which is changed; a choice is constant where it is an initialiser.
    """
    known = {weight.name: weight for weight in graph.initializer}
    nodes: list[onnx.NodeProto] = []
    found = False
    for node in graph.node:
        if key_of(node) != ("", "If") or node.input[0] not in known:
            nodes.append(node)
            continue
        taken = (
            "then_branch" if numpy_helper.to_array(known[node.input[0]]).item() else "else_branch"
        )
        nodes.extend(_inlined(graph, node, next(a.g for a in node.attribute if a.name == taken)))
        found = True
    del graph.node[:]
    graph.node.extend(nodes)
    return found


def _inlined(
    graph: onnx.GraphProto, node: onnx.NodeProto, branch: onnx.GraphProto
) -> list[onnx.NodeProto]:
    """Returns a branch's nodes under names of their own; its weights become those of the graph."""
    densify(branch)
    prefix = next(filter(None, node.output))
    computed = {name for inner in branch.node for name in inner.output if name}
    names = {name: f"{prefix}.{name}" for name in _defined(branch)}
    ends = []
    for inner, outer in zip([value.name for value in branch.output], node.output, strict=True):
        if inner in computed and outer:
            computed.remove(inner)
            names[inner] = outer
        elif outer:  # a weight, a value from outside, or one that is given twice
            ends.append(helper.make_node("Identity", [names.get(inner, inner)], [outer]))
    for one in (*branch.initializer, *branch.value_info):
        one.name = names.get(one.name, one.name)
    graph.initializer.extend(branch.initializer)
    graph.value_info.extend(value for value in branch.value_info if value.name not in node.output)
    for inner_node in branch.node:
        _rename(inner_node, names)
    return [*branch.node, *ends]


def _defined(graph: onnx.GraphProto) -> set[str]:
    """Returns the names that a graph gives to values."""
    named = {value.name for value in (*graph.input, *graph.initializer)}
    return named | {name for node in graph.node for name in node.output if name}


def _rename(node: onnx.NodeProto, names: Mapping[str, str]) -> None:
    """Renames the values of a node, and those that the graphs inside it read from outside."""
    node.input[:] = [names.get(name, name) for name in node.input]
    node.output[:] = [names.get(name, name) for name in node.output]
    for attribute in node.attribute:
        for inner in (attribute.g, *attribute.graphs):
            own = _defined(inner)
            outer = {old: new for old, new in names.items() if old not in own}
            for one in inner.node:
                _rename(one, outer)
            for value in inner.output:
                value.name = outer.get(value.name, value.name)
