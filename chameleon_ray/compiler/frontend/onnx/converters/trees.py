"""Tree ensembles of ai.onnx.ml: every tree is walked down by a loop over its nodes' tables."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from tvm import relax, tirx
from tvm.script.ir_builder import tirx as T

from chameleon_ray.compiler.frontend.onnx.converters.scores import named, transformed, two_classes
from chameleon_ray.compiler.frontend.onnx.converters.sequential import run
from chameleon_ray.compiler.frontend.onnx.extents import columns, extents
from chameleon_ray.compiler.frontend.onnx.node import Converter, Key, Node, Untranslatable
from chameleon_ray.compiler.relax import constant

DOMAIN = "ai.onnx.ml"
MODES = ("BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ")
LEAF = -1


@dataclass(frozen=True, eq=False)
class Trees:
    """Tables of all trees' nodes; a leaf is its own child.

    Attributes:
        features: Number of the feature that each node compares, ``(N,)``.
        thresholds: What it is compared with, ``(N,)``.
        modes: How, as a place in ``MODES``, or ``LEAF``, ``(N,)``.
        children: Next node where the comparison holds, and where it does not, ``(2, N)``.
        missing: Whether a feature that is NaN holds, ``(N,)``.
        weights: What each leaf adds to each target, ``(N, targets)``.
        roots: First node of each tree, ``(T,)``.
    """

    features: np.ndarray
    thresholds: np.ndarray
    modes: np.ndarray
    children: np.ndarray
    missing: np.ndarray
    weights: np.ndarray
    roots: np.ndarray

    @property
    def depth(self) -> int:
        """Most comparisons on the way to a leaf."""
        depth, front = 0, set(self.roots.tolist())
        while any(self.modes[place] != LEAF for place in front) and depth <= len(self.modes):
            front = {int(child) for place in front for child in self.children[:, place]}
            depth += 1
        return depth


def _array(node: Node, name: str) -> np.ndarray:
    """Returns an attribute, which may also be given as a tensor."""
    tensor = node.attributes.get(f"{name}_as_tensor")
    return np.asarray(node.attributes.get(name, []) if tensor is None else tensor)


def _old(node: Node, prefix: str, targets: int) -> Trees:
    """Reads the tables of TreeEnsembleRegressor and TreeEnsembleClassifier."""
    given = node.attributes
    keys = list(zip(given["nodes_treeids"], given["nodes_nodeids"], strict=True))
    places = {key: place for place, key in enumerate(keys)}
    modes = np.array([_mode(name) for name in given["nodes_modes"]])
    count = len(keys)
    children = np.tile(np.arange(count), (2, 1))
    for side, name in enumerate(("nodes_truenodeids", "nodes_falsenodeids")):
        for place in np.flatnonzero(modes != LEAF):
            children[side, place] = places[keys[place][0], given[name][place]]
    values = _array(node, "nodes_values")
    weights = np.zeros((count, targets), values.dtype if values.dtype == "float64" else "float32")
    leaves = zip(given[f"{prefix}_treeids"], given[f"{prefix}_nodeids"], strict=True)
    numbers = zip(leaves, given[f"{prefix}_ids"], _array(node, f"{prefix}_weights"), strict=True)
    for key, target, weight in numbers:
        weights[places[key], target] += weight
    reached = set(children[:, modes != LEAF].ravel().tolist())
    roots = np.array([place for place in range(count) if place not in reached])
    missing = np.asarray(given.get("nodes_missing_value_tracks_true") or [0] * count)
    features = np.asarray(given["nodes_featureids"])
    return Trees(features, values, modes, children, missing, weights, roots)


def _mode(name: str) -> int:
    if name == "LEAF":
        return LEAF
    if name not in MODES:
        raise Untranslatable(f"its nodes have the mode {name!r}; export with comparisons only")
    return MODES.index(name)


def _new(node: Node) -> Trees:
    """Reads the tables of TreeEnsemble, whose leaves have tables of their own."""
    given = node.attributes
    modes, inner = np.asarray(given["nodes_modes"]), len(given["nodes_modes"])
    if (modes >= len(MODES)).any():
        raise Untranslatable("its nodes test sets of values; export with comparisons only")
    leaves, targets = len(given["leaf_weights"]), int(given["n_targets"])
    count = inner + leaves
    children = np.tile(np.arange(count), (2, 1))
    for side, name in enumerate(("true", "false")):
        leaf = np.asarray(given[f"nodes_{name}leafs"], bool)
        children[side, :inner] = np.asarray(given[f"nodes_{name}nodeids"]) + inner * leaf
    splits = np.asarray(given["nodes_splits"])
    weights = np.zeros((count, targets), splits.dtype)
    weights[inner + np.arange(leaves), given["leaf_targetids"]] = given["leaf_weights"]

    def padded(values: Any) -> np.ndarray:
        return np.concatenate([np.asarray(values), np.zeros(leaves, np.asarray(values).dtype)])

    missing = given.get("nodes_missing_value_tracks_true") or [0] * inner
    everywhere = np.concatenate([modes.astype("int64"), np.full(leaves, LEAF)])
    return Trees(
        padded(given["nodes_featureids"]),
        padded(splits),
        everywhere,
        children,
        padded(missing),
        weights,
        np.asarray(given["tree_roots"]),
    )


def _summed(node: Node, trees: Trees) -> relax.Expr:
    """Returns what all trees add to each target, ``(B, targets)``."""
    data = node.input(0)
    batch, _ = extents(data)
    dtype = trees.weights.dtype.name
    if str(data.ty.dtype) != dtype:
        data = node.emit(relax.op.astype(data, dtype))
    tables = [
        constant(trees.features, "int64"),
        constant(trees.thresholds, dtype),
        constant(trees.modes, "int64"),
        constant(trees.children, "int64"),
        constant(trees.missing, "int64"),
        constant(trees.weights, dtype),
        constant(trees.roots, "int64"),
    ]
    outputs = [((batch, trees.weights.shape[1]), dtype), ((1,), "int64")]
    return run(node, "trees", _program(trees, batch), [data, *tables], outputs)[0]


def _program(trees: Trees, batch: int) -> Callable[..., None]:
    """Writes the loops over samples, trees and the comparisons on the way to a leaf."""
    used = sorted(set(trees.modes.tolist()) - {LEAF})
    depth, count, targets = trees.depth, len(trees.roots), trees.weights.shape[1]
    zero = tirx.const(0, trees.weights.dtype.name)

    def program(
        data: Any,
        features: Any,
        thresholds: Any,
        modes: Any,
        children: Any,
        missing: Any,
        weights: Any,
        roots: Any,
        result: Any,
        place: Any,
    ) -> None:
        with T.serial(0, batch) as b:
            with T.serial(0, targets) as target:
                result[b, target] = zero
            with T.serial(0, count) as tree:
                place[0] = roots[tree]
                with T.serial(0, depth):
                    here = place[0]
                    x = data[b, features[here]]
                    holds = _holds(x, thresholds[here], modes[here], used)
                    holds = tirx.any(holds, tirx.all(missing[here] != 0, tirx.isnan(x)))
                    place[0] = tirx.Select(holds, children[0, here], children[1, here])
                with T.serial(0, targets) as target:
                    result[b, target] = result[b, target] + weights[place[0], target]

    return program


def _holds(x: Any, threshold: Any, mode: Any, used: Sequence[int]) -> Any:
    """Compares as the mode says, of those that the trees use."""
    compared = [
        *(x <= threshold, x < threshold, x >= threshold, x > threshold),
        *(x.equal(threshold), x != threshold),
    ]
    result = compared[used[0]] if used else tirx.const(True, "bool")
    for other in used[1:]:
        result = tirx.Select(mode == other, compared[other], result)
    return result


def _aggregated(node: Node, trees: Trees) -> relax.Expr:
    kind = node.attributes.get("aggregate_function", "SUM")
    if kind not in ("SUM", "AVERAGE", 0, 1):
        raise Untranslatable("it takes the least or greatest of its trees; export sums or means")
    new = isinstance(kind, int)
    mean = kind == "AVERAGE" or (new and kind == 0)
    total = _summed(node, trees)
    if not mean:
        return total
    count = constant(np.array(len(trees.roots)), str(total.ty.dtype))
    return node.emit(relax.op.divide(total, count))


def regressor(node: Node) -> relax.Expr:
    """Converts TreeEnsembleRegressor."""
    trees = _old(node, "target", int(node.attributes.get("n_targets", 1)))
    scores = _based(node, _aggregated(node, trees))
    scores = transformed(node, scores, node.attributes.get("post_transform", "NONE"))
    return relax.op.astype(scores, "float32")


def ensemble(node: Node) -> relax.Expr:
    """Converts TreeEnsemble."""
    names = ("NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT")
    name = names[int(node.attributes.get("post_transform", 0))]
    return transformed(node, _aggregated(node, _new(node)), name)


def classifier(node: Node) -> list[relax.Expr]:
    """Converts TreeEnsembleClassifier, to labels and scores of all classes."""
    labels = node.attributes.get("classlabels_int64s")
    if not labels:
        raise Untranslatable("its labels are texts; export the model with numbers as labels")
    trees = _old(node, "class", len(labels))
    scores = node.emit(relax.op.astype(_based(node, _summed(node, trees)), "float32"))
    name = node.attributes.get("post_transform", "NONE")
    used = set(node.attributes["class_ids"])
    if len(labels) > 2:
        return [named(node, scores, labels, 0.0), transformed(node, scores, name)]
    if len(used) > 1:
        raise Untranslatable(
            "it scores both of two classes, which runtimes read differently; export one score"
        )
    (one,) = used
    score = node.emit(columns(scores, one, one + 1))
    positive = min(_array(node, "class_weights")) >= 0
    label = named(node, score, labels, 0.5 if positive else 0.0)
    if one == 1 and name in ("NONE", "LOGISTIC"):  # the first class keeps a score of zero
        return [label, transformed(node, scores, name)]
    return [label, two_classes(node, score, name, positive)]


def _based(node: Node, scores: relax.Expr) -> relax.Expr:
    base = _array(node, "base_values")
    if not base.size:
        return scores
    return node.emit(relax.op.add(scores, constant(base[None], str(scores.ty.dtype))))


CONVERTERS: dict[Key, Converter] = {
    (DOMAIN, "TreeEnsembleRegressor"): regressor,
    (DOMAIN, "TreeEnsembleClassifier"): classifier,
    (DOMAIN, "TreeEnsemble"): ensemble,
}
