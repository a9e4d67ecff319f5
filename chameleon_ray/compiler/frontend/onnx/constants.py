"""The values of ONNX's Constant, in all the forms that its attributes have."""

import numpy as np
import onnx
from onnx import helper, numpy_helper

from chameleon_ray.compiler.frontend.onnx.weights import dense

DTYPES = {
    "value_float": np.float32,
    "value_floats": np.float32,
    "value_int": np.int64,
    "value_ints": np.int64,
}
"""Element types of the forms that are plain numbers."""


def constant_of(node: onnx.NodeProto) -> np.ndarray | None:
    """Returns the value of a Constant; None where it is text, or refers to another attribute."""
    for attribute in node.attribute:
        if attribute.name == "value":
            if attribute.t.data_type == onnx.TensorProto.STRING:
                return None
            return numpy_helper.to_array(attribute.t)
        if attribute.name == "sparse_value":
            return dense(attribute.sparse_tensor)
        if attribute.name in DTYPES:
            return np.asarray(helper.get_attribute_value(attribute), DTYPES[attribute.name])
    return None
