"""Linear models and what prepares features for them, of ai.onnx.ml."""

import numpy as np
from tvm import relax

from chameleon_ray.compiler.frontend.onnx.converters.scores import named, transformed, two_classes
from chameleon_ray.compiler.frontend.onnx.extents import extents, rank
from chameleon_ray.compiler.frontend.onnx.node import Converter, Key, Node, Untranslatable
from chameleon_ray.compiler.relax import constant

DOMAIN = "ai.onnx.ml"


def _floats(node: Node) -> relax.Expr:
    data = node.input(0)
    return data if str(data.ty.dtype) == "float32" else node.emit(relax.op.astype(data, "float32"))


def array_feature_extractor(node: Node) -> relax.Expr:
    """Converts ArrayFeatureExtractor, which takes places of the last axis."""
    data = node.input(0)
    if rank(data) == 1:
        data = node.emit(relax.op.reshape(data, (1, -1)))
    places = node.emit(relax.op.reshape(node.input(1), (-1,)))
    return relax.op.take(data, places, rank(data) - 1, mode="clip")


def binarizer(node: Node) -> relax.Expr:
    """Converts Binarizer to ones where an element is above the threshold."""
    data = node.input(0)
    dtype = str(data.ty.dtype)
    threshold = constant(np.array(node.attributes.get("threshold", 0.0)), dtype)
    return relax.op.astype(relax.op.greater(data, threshold), dtype)


def scaler(node: Node) -> relax.Expr:
    """Converts Scaler, ``(x - offset) scale``."""
    offset, scale = (
        constant(np.asarray(node.attributes.get(name, usual)), "float32")
        for name, usual in (("offset", [0.0]), ("scale", [1.0]))
    )
    return relax.op.multiply(relax.op.subtract(_floats(node), offset), scale)


def normalizer(node: Node) -> relax.Expr:
    """Converts Normalizer, by the sum, the length or the greatest of each row."""
    data, kind = _floats(node), node.attributes.get("norm", "MAX")
    if kind == "MAX":
        return relax.op.divide(data, relax.op.max(data, -1, keepdims=True))
    if kind == "L1":
        size = relax.op.sum(relax.op.abs(data), -1, keepdims=True)
    else:
        size = relax.op.sqrt(relax.op.sum(relax.op.multiply(data, data), -1, keepdims=True))
    zero, one = (constant(np.array(value), "float32") for value in (0.0, 1.0))
    size = node.emit(size)
    return relax.op.divide(data, relax.op.where(relax.op.equal(size, zero), one, size))


def imputer(node: Node) -> relax.Expr:
    """Converts Imputer, which replaces one value by others, a column each."""
    data = node.input(0)
    kind = "floats" if "float" in str(data.ty.dtype) else "int64s"
    new = node.attributes.get(f"imputed_value_{kind}")
    old = node.attributes.get(f"replaced_value_{kind.removesuffix('s')}", 0)
    if not new:
        raise Untranslatable("it has no values of its input's type; export the model again")
    dtype = str(data.ty.dtype)
    if isinstance(old, float) and np.isnan(old):
        found = relax.op.isnan(data)
    else:
        found = relax.op.equal(data, constant(np.array(old), dtype))
    return relax.op.where(found, constant(np.asarray(new)[None], dtype), data)


def feature_vectorizer(node: Node) -> relax.Expr:
    """Converts FeatureVectorizer, which joins columns."""
    parts = []
    for value in node.inputs:
        if value is not None:
            value = node.emit(relax.op.reshape(value, (extents(value)[0], -1)))
            parts.append(node.emit(relax.op.astype(value, "float32")))
    return relax.op.concat(parts, 1)


def _linear(node: Node, count: int) -> relax.Expr:
    """Returns the scores of a linear model, ``(B, count)``."""
    data = _floats(node)
    if rank(data) == 1:
        data = node.emit(relax.op.reshape(data, (1, -1)))
    weights = np.asarray(node.attributes["coefficients"], "float32").reshape(count, -1).T
    scores = relax.op.matmul(data, constant(weights, "float32"))
    intercepts = node.attributes.get("intercepts")
    if intercepts:
        scores = relax.op.add(scores, constant(np.asarray(intercepts)[None], "float32"))
    return node.emit(scores)


def linear_regressor(node: Node) -> relax.Expr:
    """Converts LinearRegressor."""
    scores = _linear(node, int(node.attributes.get("targets", 1)))
    return transformed(node, scores, node.attributes.get("post_transform", "NONE"))


def linear_classifier(node: Node) -> list[relax.Expr]:
    """Converts LinearClassifier, to labels and scores of all classes."""
    labels = node.attributes.get("classlabels_ints")
    if not labels:
        raise Untranslatable("its labels are texts; export the model with numbers as labels")
    name = node.attributes.get("post_transform", "NONE")
    width = extents(node.input(0))[-1]
    count = len(node.attributes["coefficients"]) // width
    scores = _linear(node, count)
    label = named(node, scores, labels, 0.0)
    if count == 1 and len(labels) == 2:
        return [label, two_classes(node, scores, name, True)]
    return [label, transformed(node, scores, name)]


CONVERTERS: dict[Key, Converter] = {
    (DOMAIN, "ArrayFeatureExtractor"): array_feature_extractor,
    (DOMAIN, "Binarizer"): binarizer,
    (DOMAIN, "FeatureVectorizer"): feature_vectorizer,
    (DOMAIN, "Imputer"): imputer,
    (DOMAIN, "LinearClassifier"): linear_classifier,
    (DOMAIN, "LinearRegressor"): linear_regressor,
    (DOMAIN, "Normalizer"): normalizer,
    (DOMAIN, "Scaler"): scaler,
}
