"""Activation functions of recurrent layers, by ONNX's names, on scalars of loop nests."""

from collections.abc import Callable, Sequence
from typing import Any

from tvm import tirx

from chameleon_ray.compiler.frontend.onnx.node import Untranslatable

Activation = Callable[[Any], Any]


def _sigmoid(x: Any, alpha: Any, beta: Any) -> Any:
    return tirx.sigmoid(x)


def _tanh(x: Any, alpha: Any, beta: Any) -> Any:
    return tirx.tanh(x)


def _relu(x: Any, alpha: Any, beta: Any) -> Any:
    return tirx.max(x, tirx.const(0, x.ty.dtype))


def _affine(x: Any, alpha: Any, beta: Any) -> Any:
    return alpha * x + beta


def _leaky_relu(x: Any, alpha: Any, beta: Any) -> Any:
    return tirx.Select(x >= 0, x, alpha * x)


def _thresholded_relu(x: Any, alpha: Any, beta: Any) -> Any:
    return tirx.Select(x > alpha, x, tirx.const(0, x.ty.dtype))


def _scaled_tanh(x: Any, alpha: Any, beta: Any) -> Any:
    return alpha * tirx.tanh(beta * x)


def _hard_sigmoid(x: Any, alpha: Any, beta: Any) -> Any:
    low, high = (tirx.const(bound, x.ty.dtype) for bound in (0, 1))
    return tirx.min(tirx.max(alpha * x + beta, low), high)


def _elu(x: Any, alpha: Any, beta: Any) -> Any:
    below = tirx.min(x, tirx.const(0, x.ty.dtype))
    return tirx.Select(x >= 0, x, alpha * (tirx.exp(below) - 1))


def _softsign(x: Any, alpha: Any, beta: Any) -> Any:
    return x / (1 + tirx.abs(x))


def _softplus(x: Any, alpha: Any, beta: Any) -> Any:
    positive = tirx.max(x, tirx.const(0, x.ty.dtype))
    return positive + tirx.log(1 + tirx.exp(-tirx.abs(x)))


FUNCTIONS: dict[str, tuple[Callable[[Any, Any, Any], Any], float | None, float | None]] = {
    "sigmoid": (_sigmoid, None, None),
    "tanh": (_tanh, None, None),
    "relu": (_relu, None, None),
    "affine": (_affine, 1.0, 0.0),
    "leakyrelu": (_leaky_relu, 0.01, None),
    "thresholdedrelu": (_thresholded_relu, 1.0, None),
    "scaledtanh": (_scaled_tanh, 1.0, 1.0),
    "hardsigmoid": (_hard_sigmoid, 0.2, 0.5),
    "elu": (_elu, 1.0, None),
    "softsign": (_softsign, None, None),
    "softplus": (_softplus, None, None),
}
"""Function and the usual ``alpha`` and ``beta``; None where it has no such parameter."""


def activations(
    names: Sequence[str], alphas: Sequence[float], betas: Sequence[float]
) -> list[Activation]:
    """Makes the functions of a layer's gates.

    Args:
        names: Name of each, in ONNX's spelling, in any case.
        alphas: First parameters of those that have one, in order; the rest have the usual ones.
        betas: Second parameters, likewise.

    Raises:
        Untranslatable: A function has no known name.
    """
    first, second = iter(alphas), iter(betas)
    made = []
    for name in names:
        if name.lower() not in FUNCTIONS:
            raise Untranslatable(f"its activation {name!r} is none of ONNX's; correct the model")
        function, alpha, beta = FUNCTIONS[name.lower()]
        alpha = None if alpha is None else next(first, alpha)
        beta = None if beta is None else next(second, beta)
        made.append(_of(function, alpha, beta))
    return made


def _of(
    function: Callable[[Any, Any, Any], Any], alpha: float | None, beta: float | None
) -> Activation:
    def activation(x: Any) -> Any:
        given = [None if one is None else tirx.const(one, x.ty.dtype) for one in (alpha, beta)]
        return function(x, *given)

    return activation
