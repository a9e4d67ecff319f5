"""Elementary functions on CPUs: right to the last places, also at the edges, and vectors."""

import json
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.special
import tvm
from tvm import te, tirx

from chameleon_ray.compiler.kinds import resolve
from chameleon_ray.compiler.passes.elementary import left_to_tvm, register_elementary

EDGES = [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 1e30, -1e30, 1e-30, -1e-30, 88.72, 88.73]
TINY = 3e-38
"""Close to the least normal number."""
FUNCTIONS: dict[str, tuple[Callable[[Any], Any], Callable[[np.ndarray], np.ndarray], float]] = {
    "exp": (tirx.exp, np.exp, 2),
    "log": (tirx.log, np.log, 2),
    "erf": (tirx.erf, scipy.special.erf, 5),
    "tanh": (tirx.tanh, np.tanh, 5),
    "sigmoid": (tirx.sigmoid, scipy.special.expit, 4),
    "cube": (lambda x: tirx.power(x, tirx.const(3.0, "float32")), lambda x: x**3, 2),
    "root": (lambda x: tirx.power(x, tirx.const(0.5, "float32")), np.sqrt, 1),
}
"""How TVM and NumPy compute each, and how far apart they may be, in units of the last place."""


POINTS = 1 << 17


@pytest.fixture(autouse=True, scope="module")
def lowered() -> None:
    register_elementary()


def library(
    function: Callable[[Any], Any], dtype: str, vectorised: bool = True, target: str = "llvm"
) -> Any:
    x = te.placeholder((POINTS,), dtype, name="x")
    y = te.compute(x.shape, lambda i: function(x[i]), name="y")
    schedule = tvm.s_tir.Schedule(te.create_prim_func([x, y]))
    if vectorised:
        (loop,) = schedule.get_loops(schedule.get_sblock("y"))
        schedule.vectorize(schedule.split(loop, [None, 16])[1])
    return tvm.compile(schedule.mod, tvm.target.Target(json.loads(resolve(target, 1))))


def computed(function: Callable[[Any], Any], points: np.ndarray, **how: bool) -> np.ndarray:
    result = tvm.runtime.tensor(np.zeros_like(points))
    library(function, str(points.dtype), **how).jit()["main"](tvm.runtime.tensor(points), result)
    return result.numpy()


def sampled(dtype: str) -> np.ndarray:
    """Numbers of every size, the edges among them."""
    rng = np.random.default_rng(0)
    parts = [rng.uniform(-90, 90, POINTS // 4), rng.normal(size=POINTS // 4)]
    sizes = 10 ** rng.uniform(-44, 36, POINTS // 2 - len(EDGES))
    signs = rng.choice([-1, 1], len(sizes))
    sizes[: len(parts[0]) // 2] = rng.uniform(0, 12, len(parts[0]) // 2)  # where some come to 1
    return np.concatenate([*parts, sizes * signs, EDGES]).astype(dtype)


@pytest.mark.parametrize("vectorised", [True, False])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_results_are_right_to_the_last_places(name: str, vectorised: bool) -> None:
    function, expected, most = FUNCTIONS[name]
    points = sampled("float32")
    found = computed(function, points, vectorised=vectorised)
    with np.errstate(all="ignore"):
        wanted = expected(points.astype("float64")).astype("float32")
        error = np.abs(found - wanted.astype("float64")) / np.spacing(np.abs(wanted))
    finite = np.isfinite(wanted)
    assert np.array_equal(found[~finite], wanted[~finite], equal_nan=True)
    normal = finite & (np.abs(wanted) > TINY)
    assert error[normal].max() <= most
    if name in ("erf", "tanh", "sigmoid"):
        assert np.abs(found[finite]).max() <= 1
    assert np.abs(found[finite & ~normal]).max(initial=0.0) <= 2 * TINY


@pytest.mark.parametrize("name", FUNCTIONS)
def test_nothing_is_left_to_the_c_library(name: str) -> None:
    assert not called(FUNCTIONS[name][0])


def test_nor_on_processors_with_little_more_than_floats() -> None:
    for name in ("exp", "log", "erf", "tanh", "sigmoid", "cube"):
        assert not called(FUNCTIONS[name][0], '{"kind": "llvm", "mcpu": "x86-64"}')


def test_functions_of_functions_of_functions_are_tvms() -> None:
    assert not called(lambda x: tirx.exp(tirx.exp(x)))
    assert called(lambda x: tirx.exp(tirx.exp(tirx.exp(x))))
    points = np.resize(np.linspace(-5, 0, 1001), POINTS).astype("float32")
    found = computed(lambda x: tirx.tanh(tirx.log(tirx.exp(x) + tirx.exp(tirx.exp(x)))), points)
    exact = np.exp(points.astype("float64"))
    assert found == pytest.approx(np.tanh(np.log(exact + np.exp(exact))), rel=1e-5)


def test_they_can_be_left_to_tvm() -> None:
    with left_to_tvm():
        assert called(tirx.exp)
    assert not called(tirx.exp)


def called(function: Callable[[Any], Any], target: str = "llvm") -> set[str]:
    """What of the C library the machine code calls."""
    code = library(function, "float32", target=target).mod.inspect_source("asm")
    names = set(re.findall(r"\t(?:callq?|bl)\t\*?(\w+)", code))
    return {name for name in names if not re.search("tvm|main", name, re.IGNORECASE)}


def test_other_types_are_left_to_tvm() -> None:
    points = np.resize(np.linspace(-5, 5, 1000), POINTS)
    for name in ("exp", "erf", "tanh"):
        function, expected, _ = FUNCTIONS[name]
        found = computed(function, points, vectorised=False)
        assert found == pytest.approx(expected(points), rel=1e-13)
    short = points.astype("float16")
    assert computed(tirx.exp, short, vectorised=False) == pytest.approx(np.exp(short), rel=2e-3)


def test_powers_without_a_rule_are_tvms() -> None:
    points = np.resize(np.linspace(0.1, 5, 1001), POINTS).astype("float32")
    for exponent in (2.5, -1.0, 7.0):
        found = computed(lambda x, e=exponent: tirx.power(x, tirx.const(e, "float32")), points)
        assert found == pytest.approx(points.astype("float64") ** exponent, rel=1e-6)
    assert called(lambda x: tirx.power(x, tirx.const(2.5, "float32")))
