"""What a node is called by who has made its file: by its own name, or by its module of torch."""

import ast
import re

import onnx

from chameleon_ray.compiler.origin import Origin

WHOLE = "chameleon.whole"
"""Key of the name of the node that a node is part of the expansion of."""
SCOPES = "pkg.torch.onnx.name_scopes"
"""Key by which torch keeps the modules that a node is in, the outermost first, and its own name."""
WEIGHT = ".weight"


def whole_name(proto: onnx.NodeProto) -> str:
    """Returns a node's own name, or that of its output; of a part, that of the whole."""
    kept = _kept(proto, WHOLE)
    return kept or proto.name or next((name for name in proto.output if name), "")


def origin_of(proto: onnx.NodeProto) -> Origin:
    """Returns where a node is in the model.

    In files that torch has written, it is the module that the node, or its weight, is of.
    """
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", proto.op_type).lower()
    return Origin(_module(proto) or whole_name(proto), whole_name(proto), label=words)


def _module(proto: onnx.NodeProto) -> str:
    text = _kept(proto, SCOPES)
    if not text:
        return ""
    weights = [name for name in proto.input[1:] if name.endswith(WEIGHT)]
    if weights:  # a batch norm may have been fused into it, and left its scopes
        return weights[0].removesuffix(WEIGHT)
    try:
        listed = ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return ""
    scopes = [scope for scope in listed if scope] if isinstance(listed, list | tuple) else []
    return str(scopes[-2] if len(scopes) > 1 else "")


def _kept(proto: onnx.NodeProto, key: str) -> str:
    return next((one.value for one in proto.metadata_props if one.key == key), "")
