"""Elementary functions of float32 on CPUs, as arithmetic that can be vectorised.

Left alone, TVM has the C library compute exp, log, erf and powers, one element after the other,
even where the loop around them is vectorised. Here they are computed as textbooks do. The argument
is reduced to a short interval (Muller, *Elementary Functions*, 2016, part III). There the function
is a polynomial or a ratio of two, fitted to the least relative error.

A result is wrong by some units of its last place at most. Infinities and NaN come out as they
should. exp is 0 where it would be smaller than the least normal number.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial, reduce
from math import inf, nan
from operator import mul
from typing import Any

import tvm
from tvm.ir import Call
from tvm.relax.analysis import post_order_visit
from tvm.tirx import (
    Broadcast,
    FloatImm,
    Let,
    Select,
    Var,
    const,
    register_intrin_lowering,
    reinterpret,
    sqrt,
)

Coefficients = tuple[float, ...]
"""Coefficients of a polynomial, the constant one first; nine digits determine a float32."""
LOG2_E = 1.44269504
LN2 = (0.693145752, 1.42860682e-06)
"""Natural logarithm of 2 in two parts, the first bits and the rest.

Small integers can be multiplied exactly by the first bits.
"""
LARGEST, SMALLEST = 89.0, -86.6
"""Bounds of exp's argument, beyond which exp is infinite and 0."""
ROUNDING = 12582912.0
"""Number 3 * 2^22; added to a small number, it leaves the nearest integer in the last bits."""
EXP: Coefficients = (0.499999934, 0.166665201, 0.0416683944, 0.00836878156, 0.00138144585)
"""Coefficients of (exp(x) - 1 - x) / x^2 for ``|x| <= ln(2) / 2``; relative error of exp 3e-9."""
ONE, ROOT_HALF, INTEGERS, MANTISSA = 0x3F800000, 0x3F3504F3, 0x4B400000, 23
"""Bits of 1, of the root of 1/2 and of ``ROUNDING``, and the number of bits of a fraction."""
LEAST_NORMAL, LARGER = 1.17549435e-38, 8388608.0
"""Least normal number, and the factor 2^23 that makes smaller ones, of fewer digits, normal."""
LOG: Coefficients = (0.333339109, -0.25001337, 0.199630568, -0.165775892)
LOG += (0.149148533, -0.142674559, 0.0870012255)
"""Coefficients of (log(1 + x) - x + x^2 / 2) / x^3 for 1 + x between the roots of 1/2 and 2.

The relative error of log is 3e-8.
"""
ERF: Coefficients = (1.12837915, 0.190778892, 0.0527895392, 0.00377937219)
ERF += (0.000284799201, 2.04195592e-06)
ERF_BELOW: Coefficients = (1.0, 0.502406112, 0.114255396, 0.0149969652)
ERF_BELOW += (0.00116514765, 3.80034274e-05)
"""Coefficients of a ratio for erf(x) / x, in powers of x^2, for ``|x| <= ERF_ONE``.

The relative error is 2e-8.
"""
ERF_ONE = 3.93
"""Argument from which on erf is 1."""
TANH: Coefficients = (0.999999979, 0.133796901, 0.00349400127, 2.05829325e-05, 1.33183244e-08)
TANH_BELOW: Coefficients = (1.0, 0.467130054, 0.0258709471, 0.000328303825, 7.76171006e-07)
"""Coefficients, with ``TANH``, of a ratio for tanh(x) / x, in powers of x^2.

It holds for ``|x| <= TANH_ONE``; the relative error is 2e-8.
"""
TANH_ONE = 9.02
FEW = 4
"""Greatest exponent of a power that is computed as products."""
DEEPEST = 2
"""Most levels of nested functions; for deeper ones TVM takes exponentially long."""
NAME = "chameleon.elementary"
"""Name of a disabled pass in TVM's context with which TVM's own rules are in force."""

Rule = Callable[..., Any]
"""Maps arguments to an expression of the function's value; None where the rule does not apply."""


@cache
def register_elementary() -> None:
    """Makes TVM, in this process, lower elementary functions for CPUs by ``RULES``."""
    for name, rule in RULES.items():
        function = tvm.ir.Op.get(name)
        own = [function.get_attr(f"{kind}.FLowerIntrinsic") for kind in ("llvm", "default")]
        lowered = partial(_lowered, rule, own[0] or own[1])
        register_intrin_lowering(name, target="llvm", f=lowered, level=99)


def _lowered(rule: Rule, own: Rule, call: Any) -> Any:
    """Lowers a call by a rule; by TVM's own if it is not float32, or nested deeply."""
    made = None
    if str(call.ty).startswith("float32") and not (_is_left() or _is_deep(call)):
        made = rule(*call.args)
    return own(call) if made is None else made


@contextmanager
def left_to_tvm() -> Iterator[None]:
    """Puts TVM's own rules in force in a ``with`` block, for models as TVM compiles them."""
    with tvm.transform.PassContext(opt_level=3, disabled_pass=[NAME]):
        yield


def _is_left() -> bool:
    return NAME in tvm.transform.PassContext.current().disabled_pass


def _is_deep(call: Any, levels: int = DEEPEST) -> bool:
    """Whether a call has more than ``levels`` levels of elementary functions, itself included."""
    inner: list[Any] = []

    def visit(node: Any) -> None:
        if isinstance(node, Call) and getattr(node.op, "name", "") in RULES:
            inner.append(node)

    for argument in call.args:
        post_order_visit(argument, visit)
    return any(levels == 1 or _is_deep(one, levels - 1) for one in inner)


def exp(x: Any) -> Any:
    """Computes 2^n exp(r), where n is the integer nearest to x / ln 2 and r the rest."""
    return _let(x, lambda x: _let(_within(x, LARGEST), _exp))


def _exp(x: Any) -> Any:
    def scaled(shifted: Any) -> Any:
        # Scales by 2^(n - 1) and then by 2, as the largest n is beyond the range of exponents.
        n, bits = shifted - ROUNDING, reinterpret(_of(x, "int32"), shifted) - INTEGERS
        half = _as_float((bits << MANTISSA) + (ONE - (1 << MANTISSA)))
        value = _let(x - n * LN2[0] - n * LN2[1], lambda r: _sum(r, EXP) * (r * r) + r + 1.0)
        return Select(x < SMALLEST, _like(x, 0.0), value * half * 2.0)

    return _let(x * LOG2_E + ROUNDING, scaled)


def log(x: Any) -> Any:
    """Computes e ln 2 + log(m), where x is 2^e m, and m between the roots of 1/2 and 2."""
    return _let(x, _log)


def _log(x: Any) -> Any:
    small = x < LEAST_NORMAL
    normal = Select(small, x * LARGER, x)

    def split(bits: Any) -> Any:
        return _let((bits - ROOT_HALF) >> MANTISSA, lambda e: joined(bits, e))

    def joined(bits: Any, e: Any) -> Any:
        f = _as_float(bits - (e << MANTISSA)) - 1.0
        n = e.astype(str(x.ty)) - Select(small, _like(x, float(MANTISSA)), _like(x, 0.0))
        value = _let(f, lambda f: n * LN2[1] + f * f * (f * _sum(f, LOG) - 0.5) + f + n * LN2[0])
        special = Select(x < 0.0, _like(x, nan), _like(x, -inf))
        return Select(x > 0.0, Select(x < inf, value, x), Select(x <= 0.0, special, x))

    return _let(reinterpret(_of(x, "int32"), normal), split)


def erf(x: Any) -> Any:
    """Computes erf as an odd function that is 1 from ``ERF_ONE`` on."""
    return _let(x, lambda x: _let(_within(x, ERF_ONE), lambda x: _ratio(x, ERF, ERF_BELOW)))


def tanh(x: Any) -> Any:
    """Computes tanh as an odd function that is 1 from ``TANH_ONE`` on."""
    return _let(x, lambda x: _let(_within(x, TANH_ONE), lambda x: _ratio(x, TANH, TANH_BELOW)))


def power(x: Any, y: Any) -> Any:
    """Computes a power as products, or as a root where the exponent is 1/2.

    Returns:
        None where the exponent is neither 1/2 nor an integer from 1 to ``FEW``.
    """
    y = y.value if isinstance(y, Broadcast) else y
    exponent = float(y.value) if isinstance(y, FloatImm) else 0.0
    if exponent == 0.5:
        return sqrt(x)
    if exponent not in range(1, FEW + 1):
        return None
    return _let(x, lambda x: reduce(mul, [x] * int(exponent)))


RULES: dict[str, Rule] = {
    "tirx.exp": exp,
    "tirx.log": log,
    "tirx.erf": erf,
    "tirx.tanh": tanh,
    "tirx.pow": power,
}


def _ratio(x: Any, above: Coefficients, below: Coefficients) -> Any:
    """Returns x times the ratio of two polynomials in x^2, no further from 0 than 1."""
    ratio = _let(x * x, lambda t: x * _sum(t, above) / _sum(t, below))
    return _let(ratio, lambda value: _within(value, 1.0))


def _sum(x: Any, coefficients: Coefficients) -> Any:
    """Evaluates a polynomial by Horner's rule, the constant coefficient first."""
    *rest, highest = coefficients
    return reduce(lambda total, one: total * x + one, reversed(rest), highest)


def _within(x: Any, bound: float) -> Any:
    """Returns x, or the bound with the sign of x where x is beyond it; NaN stays."""
    return Select(x > bound, _like(x, bound), Select(x < -bound, _like(x, -bound), x))


def _let(value: Any, body: Callable[[Any], Any]) -> Any:
    """Makes an expression of a value that is computed once."""
    name = Var("value", str(value.ty))
    return Let(name, value, body(name))


def _of(x: Any, kind: str) -> str:
    """Returns the type of as many numbers of ``kind`` as x has."""
    return str(x.ty).replace("float32", kind)


def _like(x: Any, value: float) -> Any:
    return const(value, str(x.ty))


def _as_float(bits: Any) -> Any:
    return reinterpret(str(bits.ty).replace("int32", "float32"), bits)
