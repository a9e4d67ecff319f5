"""What classifiers and regressors of ai.onnx.ml do to their scores."""

from collections.abc import Sequence

import numpy as np
from tvm import relax

from chameleon_ray.compiler.frontend.onnx.node import Node, Untranslatable
from chameleon_ray.compiler.relax import constant


def transformed(node: Node, scores: relax.Expr, name: str) -> relax.Expr:
    """Applies a ``post_transform`` to scores, ``(B, classes)``."""
    if name == "NONE":
        return scores
    if name == "LOGISTIC":
        return relax.op.sigmoid(scores)
    if name == "SOFTMAX":
        return relax.op.nn.softmax(scores, -1)
    raise Untranslatable(f"its post_transform {name!r} is not supported; export it as NONE")


def named(node: Node, scores: relax.Expr, labels: Sequence[int], middle: float) -> relax.Expr:
    """Returns the label of each row of scores.

    Args:
        node: The node that is converted.
        scores: Scores of all classes, ``(B, classes)``, or of the second of two, ``(B, 1)``.
        labels: The labels.
        middle: Score of the second of two classes above which it is chosen.
    """
    if int(scores.ty.shape[1]) > 1:
        best = node.emit(relax.op.argmax(scores, -1))
        return relax.op.take(constant(np.asarray(labels), "int64"), best, 0, mode="clip")
    bound = constant(np.array(middle), str(scores.ty.dtype))
    second = node.emit(relax.op.squeeze(relax.op.greater(scores, bound), [1]))
    return relax.op.where(second, *(constant(np.array(labels[k]), "int64") for k in (1, 0)))


def two_classes(node: Node, score: relax.Expr, name: str, probable: bool) -> relax.Expr:
    """Returns the scores of two classes, ``(B, 2)``, given that of the second, ``(B, 1)``.

    Args:
        node: The node that is converted.
        score: The score.
        name: The ``post_transform``.
        probable: Whether the score is a probability, not a margin around zero.
    """
    if name not in ("NONE", "LOGISTIC"):
        raise Untranslatable(f"its post_transform {name!r} is not supported; export it as NONE")
    if name == "LOGISTIC":
        other = relax.op.sigmoid(relax.op.negative(score))
    elif probable:
        other = relax.op.subtract(constant(np.array(1.0), str(score.ty.dtype)), score)
    else:
        other = relax.op.negative(score)
    return relax.op.concat([node.emit(other), node.emit(transformed(node, score, name))], 1)
