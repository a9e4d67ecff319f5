"""Where in a model an operation is: its operator's and its module's names for people."""

import re

from torch import fx

from chameleon_ray.compiler.origin import Origin


def operator_name(node: fx.Node) -> str:
    """Returns ``namespace.name.overload`` of an operator, or the plain name of another function."""
    target = node.target
    if hasattr(target, "_schema"):
        return str(target)
    return str(getattr(target, "__name__", target))


def place_of(node: fx.Node) -> str:
    """Names an operation for people: its operator, and the module that calls it.

    An operator that is part of what torch decomposes another one into is named with that one.
    """
    name = operator_name(node)
    original = str(node.meta.get("original_aten", name))
    whole = "" if original.split(".")[:2] == name.split(".")[:2] else f", part of {original},"
    module = module_of(node)
    return f"the operator {name}{whole}" + (f" in {module}" if module else "")


def module_of(node: fx.Node) -> str:
    """Returns the path and class of the module that an operation is in; empty at the top."""
    path, kind = _innermost(node)
    return f"{path} ({kind})" if path else f"the module {kind}" if kind else ""


def origin_of(node: fx.Node) -> Origin:
    """Returns where an operation is in the model: its module, or at the top its own name.

    Parts of what torch decomposes an operator into are one node.
    """
    path, kind = _innermost(node)
    name = operator_name(node)
    whole = str(node.meta.get("original_aten", name))
    plain = whole.split(".")[1] if "." in whole else whole
    label = "relu6" if kind == "ReLU6" else WORDS.sub("", plain).strip("_").replace("_", " ")
    return Origin(path or node.name, node.name if whole == name else f"{path} {whole}", label=label)


WORDS = re.compile("native_|_legit_no_training|_legit|_with_indices")
"""Parts of the names of operators that say nothing about what is computed."""


def _innermost(node: fx.Node) -> tuple[str, str]:
    """Returns the path and the class of the innermost module that an operation is in."""
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    if not stack:
        return "", ""
    path, kind = stack[-1]
    kind = kind if isinstance(kind, str) else kind.__name__
    plain = str(path).removeprefix("L['self'].").removeprefix("L__self__.")
    return plain, kind.rpartition(".")[2]
