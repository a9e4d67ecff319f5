"""RoiAlign: samples of regions of interest, averaged."""

from collections.abc import Sequence

from tvm import relax

from chameleon_ray.compiler.frontend.onnx import tvm_converters
from chameleon_ray.compiler.frontend.onnx.node import Converter, Key, Node, Untranslatable


def roi_align(node: Node) -> relax.Expr | Sequence[relax.Expr]:
    """Converts RoiAlign that averages, by TVM's converter.

    ONNX's largest sample is that of weighted pixels, TVM's that of interpolated ones.
    """
    if node.attributes.get("mode", "avg") != "avg":
        raise Untranslatable("its mode is 'max', which is not supported; export it with 'avg'")
    return tvm_converters.convert(node)


CONVERTERS: dict[Key, Converter] = {("", "RoiAlign"): roi_align}
