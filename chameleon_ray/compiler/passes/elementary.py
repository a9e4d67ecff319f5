"""Elementary functions of float32 on CPUs: a call in, arithmetic that becomes vectors out.

Left alone, TVM has the C library compute exp, log, erf and powers, one element after the other,
even where the loop around them is vectorised. Here they are what textbooks make of them: reduced to
a short interval (Muller, *Elementary Functions*, 2016, part III), and there a polynomial or a ratio
of two, fitted to the least relative error. A result is wrong by some units of its last place at
most. Infinities and NaN come out as they should; exp is 0 where it would be smaller than the least
normal number.
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
"""Of a polynomial, that of 1 first; in float32, which nine digits tell."""
LOG2_E = 1.44269504
LN2 = (0.693145752, 1.42860682e-06)
"""Its first bits, by which small integers can be multiplied exactly, and the rest."""
LARGEST, SMALLEST = 89.0, -86.6
"""Of exp's arguments, beyond which it is infinite and 0."""
ROUNDING = 12582912.0
"""Added to a small number it leaves the nearest integer in the last bits: 3 * 2^22."""
EXP: Coefficients = (0.499999934, 0.166665201, 0.0416683944, 0.00836878156, 0.00138144585)
"""(exp(x) - 1 - x) / x^2 for ``|x| <= ln(2) / 2``; relative error of exp 3e-9."""
ONE, ROOT_HALF, INTEGERS, MANTISSA = 0x3F800000, 0x3F3504F3, 0x4B400000, 23
"""The bits of 1, the root of 1/2, and ``ROUNDING``; how many of a number are its fraction's."""
LEAST_NORMAL, LARGER = 1.17549435e-38, 8388608.0
"""Smaller numbers have fewer digits; times 2^23 they are normal."""
LOG: Coefficients = (0.333339109, -0.25001337, 0.199630568, -0.165775892)
LOG += (0.149148533, -0.142674559, 0.0870012255)
"""(log(1 + x) - x + x^2 / 2) / x^3 between the roots of 1/2 and 2; relative error of log 3e-8."""
ERF: Coefficients = (1.12837915, 0.190778892, 0.0527895392, 0.00377937219)
ERF += (0.000284799201, 2.04195592e-06)
ERF_BELOW: Coefficients = (1.0, 0.502406112, 0.114255396, 0.0149969652)
ERF_BELOW += (0.00116514765, 3.80034274e-05)
"""erf(x) / x in powers of x^2 for ``|x| <= ERF_ONE``; relative error 2e-8."""
ERF_ONE = 3.93
"""From here on erf is 1."""
TANH: Coefficients = (0.999999979, 0.133796901, 0.00349400127, 2.05829325e-05, 1.33183244e-08)
TANH_BELOW: Coefficients = (1.0, 0.467130054, 0.0258709471, 0.000328303825, 7.76171006e-07)
"""tanh(x) / x in powers of x^2 for ``|x| <= TANH_ONE``; relative error 2e-8."""
TANH_ONE = 9.02
FEW = 4
"""Powers of up to this are products."""
DEEPEST = 2
"""Functions of functions; TVM takes exponentially long over deeper ones."""
NAME = "chameleon.elementary"
"""Where TVM's context has this among its disabled passes, its own rules are in force."""

Rule = Callable[..., Any]
"""Arguments -> an expression for the function's value; None where the rule does not apply."""


@cache
def register_elementary() -> None:
    """Has TVM, in this process, lower elementary functions in this way for CPUs."""
    for name, rule in RULES.items():
        function = tvm.ir.Op.get(name)
        own = [function.get_attr(f"{kind}.FLowerIntrinsic") for kind in ("llvm", "default")]
        lowered = partial(_lowered, rule, own[0] or own[1])
        register_intrin_lowering(name, target="llvm", f=lowered, level=99)


def _lowered(rule: Rule, own: Rule, call: Any) -> Any:
    """What becomes of a call; TVM's own rule is for what is not float32, or nested deeply."""
    made = None
    if str(call.ty).startswith("float32") and not (_is_left() or _is_deep(call)):
        made = rule(*call.args)
    return own(call) if made is None else made


@contextmanager
def left_to_tvm() -> Iterator[None]:
    """Within it TVM's own rules are in force: for models as TVM compiles them."""
    with tvm.transform.PassContext(opt_level=3, disabled_pass=[NAME]):
        yield


def _is_left() -> bool:
    return NAME in tvm.transform.PassContext.current().disabled_pass


def _is_deep(call: Any, levels: int = DEEPEST) -> bool:
    """Whether there are more levels of elementary functions in a call than so many, its own one
    included."""
    inner: list[Any] = []

    def visit(node: Any) -> None:
        if isinstance(node, Call) and getattr(node.op, "name", "") in RULES:
            inner.append(node)

    for argument in call.args:
        post_order_visit(argument, visit)
    return any(levels == 1 or _is_deep(one, levels - 1) for one in inner)


def exp(x: Any) -> Any:
    """2^n exp(r), where n is the integer nearest to x / ln 2 and r the rest."""
    return _let(x, lambda x: _let(_within(x, LARGEST), _exp))


def _exp(x: Any) -> Any:
    def scaled(shifted: Any) -> Any:
        # 2^(n - 1), and 2 after it, as the largest n is beyond the exponents that there are.
        n, bits = shifted - ROUNDING, reinterpret(_of(x, "int32"), shifted) - INTEGERS
        half = _as_float((bits << MANTISSA) + (ONE - (1 << MANTISSA)))
        value = _let(x - n * LN2[0] - n * LN2[1], lambda r: _sum(r, EXP) * (r * r) + r + 1.0)
        return Select(x < SMALLEST, _like(x, 0.0), value * half * 2.0)

    return _let(x * LOG2_E + ROUNDING, scaled)


def log(x: Any) -> Any:
    """e ln 2 + log(m), where x is 2^e m, and m between the roots of 1/2 and 2."""
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
    """An odd function that is 1 from ``ERF_ONE`` on."""
    return _let(x, lambda x: _let(_within(x, ERF_ONE), lambda x: _ratio(x, ERF, ERF_BELOW)))


def tanh(x: Any) -> Any:
    """An odd function that is 1 from ``TANH_ONE`` on."""
    return _let(x, lambda x: _let(_within(x, TANH_ONE), lambda x: _ratio(x, TANH, TANH_BELOW)))


def power(x: Any, y: Any) -> Any:
    """A product, or the root, where the exponent is a small integer or 1/2; else None."""
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
    """The ratio of two polynomials in x^2, times x; no further from 0 than 1."""
    ratio = _let(x * x, lambda t: x * _sum(t, above) / _sum(t, below))
    return _let(ratio, lambda value: _within(value, 1.0))


def _sum(x: Any, coefficients: Coefficients) -> Any:
    """A polynomial by Horner's rule, the coefficient of 1 first."""
    *rest, highest = coefficients
    return reduce(lambda total, one: total * x + one, reversed(rest), highest)


def _within(x: Any, bound: float) -> Any:
    """x, or the bound with its sign; NaN stays."""
    return Select(x > bound, _like(x, bound), Select(x < -bound, _like(x, -bound), x))


def _let(value: Any, body: Callable[[Any], Any]) -> Any:
    """An expression of a value that is computed once."""
    name = Var("value", str(value.ty))
    return Let(name, value, body(name))


def _of(x: Any, kind: str) -> str:
    """The type of as many numbers of a kind as x has."""
    return str(x.ty).replace("float32", kind)


def _like(x: Any, value: float) -> Any:
    return const(value, str(x.ty))


def _as_float(bits: Any) -> Any:
    return reinterpret(str(bits.ty).replace("int32", "float32"), bits)
