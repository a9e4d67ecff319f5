"""Whether a graph's nodes can be computed in their order: each reads what is known by then."""

import onnx


def misread(graph: onnx.GraphProto, outside: frozenset[str] = frozenset()) -> str:
    """Says which node reads a value that is not known before it; empty where none does.

    Args:
        graph: The graph, whose inner graphs are looked at, too.
        outside: Values that are known besides: of the graphs around it, or weights kept elsewhere.
    """
    known = {*outside, *(one.name for one in (*graph.input, *graph.initializer))}
    known |= {one.values.name for one in graph.sparse_initializer}
    made = {name for node in graph.node for name in node.output}
    for node in graph.node:
        called = f"its node {node.name!r} ({node.op_type})" if node.name else f"a {node.op_type}"
        for name in filter(None, node.input):  # an empty name stands for an input left out
            if name in node.output or (name not in known and name in made):
                return f"{called} reads {name!r}, which needs that node's own output or comes later"
            if name not in known:
                return f"{called} reads {name!r}, which nothing in the graph makes"
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                found = misread(inner, frozenset(known))
                if found:
                    return found
        known.update(node.output)
    for output in graph.output:
        if output.name not in known:
            return f"nothing in the graph makes its output {output.name!r}"
    return ""
