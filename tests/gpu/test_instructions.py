"""Instructions of tensor cores and asynchronous copies on a simulated GPU, against numpy."""

from collections.abc import Callable

import ml_dtypes
import numpy as np
import pytest

from tests.gpu.conftest import simulated
from tests.gpu.launching import Launch, launch

PROLOGUE = """
#include <cuda_fp16.h>
#include <cuda_bf16.h>
"""
PRODUCT = """
extern "C" __global__ void __launch_bounds__(32) kernel(unsigned* a, unsigned* b, float* c) {{
  int group = threadIdx.x / 4, place = threadIdx.x % 4;
  unsigned r[4], s[2];
  for (int n = 0; n < 4; ++n) r[n] = a[(group + n % 2 * 8) * 8 + place + n / 2 * 4];
  for (int n = 0; n < 2; ++n) s[n] = b[group * 8 + place + n * 4];
  float d[4] = {{0, 0, 0, 0}};
  asm volatile(
    "mma.sync.aligned.m16n8k{k}.row.col.f32.{kind}.{kind}.f32"
    "{{%0, %1, %2, %3}}, {{%4, %5, %6, %7}}, {{%8, %9}}, {{%10, %11, %12, %13}};\\n"
    : "=f"(d[0]), "=f"(d[1]), "=f"(d[2]), "=f"(d[3])
    : "r"(r[0]), "r"(r[1]), "r"(r[2]), "r"(r[3]), "r"(s[0]), "r"(s[1]),
      "f"(d[0]), "f"(d[1]), "f"(d[2]), "f"(d[3]));
  for (int n = 0; n < 4; ++n) c[(group + n / 2 * 8) * 8 + place * 2 + n % 2] = d[n];
}}
"""
"""Product of a, 16 x K by rows, and b, 8 x K by rows, as words of 32 bits; c is 16 x 8."""
LOADED = """
extern "C" __global__ void __launch_bounds__(32) kernel(uint4* from, unsigned* to) {{
  __shared__ alignas(16) uint4 rows[32];
  rows[threadIdx.x] = from[threadIdx.x];
  __syncthreads();
  unsigned r[4] = {{0, 0, 0, 0}};
  unsigned int addr = __cvta_generic_to_shared(&rows[threadIdx.x]);
  asm volatile("ldmatrix.sync.aligned.m8n8.x{count}{trans}.shared.b16"
    "{{{places}}}, [%{count}];\\n" : {outputs} : "r"(addr));
  for (int n = 0; n < {count}; ++n) to[n * 32 + threadIdx.x] = r[n];
}}
"""
COPIED = """
extern "C" __global__ void __launch_bounds__(32) kernel(int* from, int* to, int* wanted) {{
  __shared__ alignas(16) int place[32];
  place[threadIdx.x] = -1;
  unsigned int addr = __cvta_generic_to_shared(&place[threadIdx.x]);
  asm volatile("{{\\n .reg .pred p;\\n setp.ne.b32 p, %3, 0;\\n"
    " @p cp.async.ca.shared.global [%0], [%1], %2;\\n"
    " @!p st.shared.u32 [%0], {{%4}};\\n}}\\n"
    :: "r"(addr), "l"(from + threadIdx.x), "n"(4), "r"(wanted[threadIdx.x]), "r"(0));
  asm volatile("cp.async.commit_group;");
  {wait}
  to[threadIdx.x] = place[threadIdx.x];
}}
"""

FUNCTIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "hexp": np.exp,
    "hlog": np.log,
    "hsqrt": np.sqrt,
    "hrsqrt": lambda x: 1 / np.sqrt(x),
    "hrcp": lambda x: 1 / x,
    "hfloor": np.floor,
    "hceil": np.ceil,
    "hcos": np.cos,
    "hsin": np.sin,
    "htanh": np.tanh,
    "__habs": np.abs,
    "__hneg": np.negative,
}
"""Functions of 16-bit floats, and what they are of."""


@pytest.mark.parametrize(
    ("kind", "dtype", "k"),
    [("f16", "float16", 16), ("bf16", ml_dtypes.bfloat16, 16), ("tf32", "float32", 8)],
)
def test_a_product_of_tensor_cores(kind: str, dtype: str, k: int) -> None:
    rng = np.random.default_rng(0)
    a, b = (rng.integers(-8, 8, (rows, k)).astype(dtype) for rows in (16, 8))
    source = PROLOGUE + PRODUCT.format(kind=kind, k=k)
    arrays = [a.view("uint32"), b.view("uint32"), np.zeros((16, 8), "float32")]
    (outcome,) = launch(simulated(), Launch(source, arrays))
    assert outcome.error == 0
    np.testing.assert_array_equal(outcome.arrays[2], a.astype("f4") @ b.astype("f4").T)


@pytest.mark.parametrize(
    ("kind", "dtype"), [("half", "float16"), ("nv_bfloat16", ml_dtypes.bfloat16)]
)
def test_functions_of_16_bit_floats(kind: str, dtype: str) -> None:
    """Each rounds what its namesake says of the number in float32; a last digit may differ."""
    calls = [f"to[{n} * 32 + threadIdx.x] = {name}(x);" for n, name in enumerate(FUNCTIONS)]
    body = f"{{ {kind} x = from[threadIdx.x]; {' '.join(calls)} }}"
    bounds = 'extern "C" __global__ void __launch_bounds__(32)'
    source = f"{PROLOGUE}{bounds} kernel({kind}* from, {kind}* to) {body}"
    numbers = np.linspace(0.25, 8.0, 32).astype(dtype)
    arrays = [numbers.view("uint16"), np.zeros((len(FUNCTIONS), 32), "uint16")]
    (outcome,) = launch(simulated(), Launch(source, arrays))
    assert outcome.error == 0
    wanted = np.stack([of(numbers.astype("float32")) for of in FUNCTIONS.values()])
    found = outcome.arrays[1].view(dtype).astype("float32")
    np.testing.assert_allclose(found, wanted, rtol=float(ml_dtypes.finfo(dtype).eps))


@pytest.mark.parametrize("trans", ["", ".trans"])
@pytest.mark.parametrize("count", [1, 2, 4])
def test_matrices_are_loaded(count: int, trans: str) -> None:
    places = ", ".join(f"%{n}" for n in range(count))
    outputs = ", ".join(f'"=r"(r[{n}])' for n in range(count))
    source = LOADED.format(count=count, trans=trans, places=places, outputs=outputs)
    rows = np.arange(32 * 8, dtype="uint16").reshape(4, 8, 8)
    arrays = [rows.view("uint32"), np.zeros((count, 32), "uint32")]
    (outcome,) = launch(simulated(), Launch(source, arrays))
    wanted = rows.transpose(0, 2, 1) if trans else rows
    found = outcome.arrays[1].view("uint16").reshape(count, 8, 8)
    np.testing.assert_array_equal(found, wanted[:count])


def test_a_copy_is_there_only_after_the_wait_for_it() -> None:
    """And early where that is asked for, which shows what is overwritten too soon."""
    waited, left, none = (
        COPIED.format(wait=wait)
        for wait in (*(f'asm volatile("cp.async.wait_group {n};");' for n in (0, 1)), "")
    )
    numbers, wanted = np.arange(32, dtype="int32"), np.arange(32, dtype="int32") % 2
    arrays = [numbers, np.zeros(32, "int32"), wanted]
    launches = [Launch(source, arrays) for source in (waited, left, none)]
    found = [outcome.arrays[1] for outcome in launch(simulated(), *launches)]
    np.testing.assert_array_equal(found[0], numbers * wanted)
    for late in found[1:]:
        np.testing.assert_array_equal(late, np.where(wanted, -1, 0))
    (early,) = launch(simulated(early=1), launches[2])
    np.testing.assert_array_equal(early.arrays[1], numbers * wanted)


def test_lanes_add_up_what_volatile_halves_hold() -> None:
    source = (
        PROLOGUE
        + """
extern "C" __global__ void __launch_bounds__(32) kernel(half* from, half* to) {
  volatile half sum[1];
  sum[0] = from[threadIdx.x];
  for (int step = 16; step; step /= 2) {
    half other = __shfl_down_sync(0xffffffffu, (half)sum[0], step, 32);
    sum[0] = (half)sum[0] + other;
  }
  if (threadIdx.x == 0) to[0] = (half)sum[0];
}
"""
    )
    arrays = [np.arange(32, dtype="float16"), np.zeros(1, "float16")]
    (outcome,) = launch(simulated(), Launch(source, arrays))
    assert outcome.arrays[1][0] == 496
