"""Types that TVM's runtime sorts, and the others as one of these."""

from tvm import relax

from chameleon_ray.compiler.frontend.onnx.node import Node

SORTABLE = {"float32", "float64", "int32", "int64"}
"""Types that TVM's runtime sorts."""


def sortable(node: Node, data: relax.Expr) -> relax.Expr:
    """Returns a tensor of a type that can be sorted, of the same order."""
    dtype = str(data.ty.dtype)
    if dtype in SORTABLE:
        return data
    wide = "float32" if "float" in dtype else "int64" if dtype.startswith("uint") else "int32"
    return node.emit(relax.op.astype(data, wide))
