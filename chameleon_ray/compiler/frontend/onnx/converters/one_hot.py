"""OneHot along any axis, with indices and a depth of any type."""

from tvm import relax, te, tirx

from chameleon_ray.compiler.frontend.onnx.converters.run_time_extents import extent_of
from chameleon_ray.compiler.frontend.onnx.extents import axis_of, rank
from chameleon_ray.compiler.frontend.onnx.node import Converter, Key, Node
from chameleon_ray.compiler.relax import constant


def one_hot(node: Node) -> relax.Expr:
    """Converts OneHot.

    Negative indices count from the end. Those beyond the depth have no place that is on.
    """
    indices, values = node.input(0), node.input(2)
    axis = axis_of(node.attributes.get("axis", -1), rank(indices) + 1)
    declared = node.outputs[0].shape
    depth = extent_of(node, 1, None if declared is None else declared[axis])
    known = node.known(2)
    values = node.emit(values) if known is None else constant(known, known.dtype.name)

    def hot(indices: te.Tensor, values: te.Tensor) -> te.Tensor:
        def value(*place: tirx.Var) -> tirx.Expr:
            index = tirx.Cast("int64", indices(*place[:axis], *place[axis + 1 :]))
            index = tirx.Select(index < 0, index + depth, index)
            return tirx.Select(index == place[axis], values(1), values(0))

        shape = list(indices.shape)
        return te.compute([*shape[:axis], depth, *shape[axis:]], value, "one_hot")

    return node.builder.call_te(hot, indices, values)


CONVERTERS: dict[Key, Converter] = {("", "OneHot"): one_hot}
