"""Large weights, which are set aside from an ONNX graph while it is worked on.

Protocol buffers cannot serialise a model above 2 GB, so no tool can check, rewrite or infer such a
model in one piece. Without its weights any model is small. Weights in data files are mapped into
memory, and are read where they are copied into the module, once.
"""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.external_data_helper import ExternalDataInfo, load_external_data_for_tensor

SMALL = 1024
"""Most elements of a tensor that stays in the graph, where constants are folded."""
PACKED = {TensorProto.STRING} | {
    getattr(TensorProto, name)
    for name in ("INT4", "UINT4", "FLOAT4E2M1", "INT2", "UINT2")
    if hasattr(TensorProto, name)
}
"""Types whose elements are not whole bytes one after the other."""


def set_aside(proto: onnx.ModelProto, folder: Path) -> dict[str, np.ndarray]:
    """Takes the large weights out of a graph.

    Small ones that are in data files, and those of inner graphs, are read into the model.

    Args:
        proto: The model, loaded without its data files; it is changed.
        folder: Folder of the model, where its data files are.

    Returns:
        The weights by name, in the order of the graph.

    Raises:
        ValueError: A data file is too short, or is outside the folder.
        OSError: A data file cannot be read.
    """
    graph, aside, kept = proto.graph, {}, []
    densify(graph)
    for weight in graph.initializer:
        if math.prod(weight.dims) <= SMALL or weight.data_type == TensorProto.STRING:
            kept.append(weight)
            continue
        aside[weight.name] = _array(weight, folder)
    for weight in (*kept, *_inner_tensors(graph)):
        if weight.data_location == TensorProto.EXTERNAL:
            load_external_data_for_tensor(weight, str(folder))
    copies = [TensorProto.FromString(weight.SerializeToString()) for weight in kept]
    del graph.initializer[:]
    graph.initializer.extend(copies)
    inputs = [value for value in graph.input if value.name not in aside]
    del graph.input[:]
    graph.input.extend(inputs)
    return aside


def declare(graph: onnx.GraphProto, weights: Mapping[str, np.ndarray]) -> None:
    """Declares weights that were set aside as inputs of a graph, so that their types are known."""
    for name, array in weights.items():
        dtype = helper.np_dtype_to_tensor_dtype(array.dtype)
        graph.input.append(helper.make_tensor_value_info(name, dtype, array.shape))


def densify(graph: onnx.GraphProto) -> None:
    """Makes dense initialisers of the sparse ones."""
    for sparse in graph.sparse_initializer:
        graph.initializer.append(numpy_helper.from_array(dense(sparse), sparse.values.name))
    del graph.sparse_initializer[:]


def dense(sparse: onnx.SparseTensorProto) -> np.ndarray:
    """Returns the array of a sparse tensor; its indices are flat, or one row per element."""
    values, indices = numpy_helper.to_array(sparse.values), numpy_helper.to_array(sparse.indices)
    array = np.zeros(tuple(sparse.dims), values.dtype)
    if indices.ndim == 1:
        array.reshape(-1)[indices] = values
    else:
        array[tuple(indices.T)] = values
    return array


def _array(weight: TensorProto, folder: Path) -> np.ndarray:
    """Returns a weight's array, which is mapped into memory where it is in a data file."""
    if weight.data_location != TensorProto.EXTERNAL:
        return numpy_helper.to_array(weight)
    if weight.data_type in PACKED:
        return numpy_helper.to_array(weight, str(folder))
    info = ExternalDataInfo(weight)
    path = (folder / info.location).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise ValueError(f"the data file {info.location!r} is not beside the model")
    dtype = np.dtype(helper.tensor_dtype_to_np_dtype(weight.data_type))
    offset, shape = info.offset or 0, tuple(weight.dims)
    if path.stat().st_size < offset + math.prod(shape) * dtype.itemsize:
        raise ValueError(f"the data file {info.location!r} is too short for {weight.name!r}")
    raw = np.memmap(path, np.uint8, "r", offset, (math.prod(shape) * dtype.itemsize,))
    return raw.view(dtype).reshape(shape)


def _inner_tensors(graph: onnx.GraphProto) -> Iterable[TensorProto]:
    """Yields the tensors in the attributes of a graph's nodes, and in graphs inside them."""
    for node in graph.node:
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)
            for inner in (attribute.g, *attribute.graphs):
                yield from inner.initializer
                yield from _inner_tensors(inner)
