"""The clock that is a formula: it prefers what a GPU would, and says the same every time."""

import numpy as np

from tests.gpu.conftest import simulated
from tests.gpu.launching import Launch, launch

COPY = 'extern "C" __global__ void kernel(float* a, float* b) {{ int i = {at}; b[i] = a[i]; }}'
SUMS = """extern "C" __global__ void kernel(float* a, float* b) {{
  __shared__ float s[32 * {width}];
  for (int n = 0; n < 32; ++n) s[n * {width} + threadIdx.x] = a[n * 32 + threadIdx.x];
  __syncthreads();
  float sum[1] = {{0}};
  for (int n = 0; n < 32; ++n) sum[0] += s[threadIdx.x * {width} + n];
  b[threadIdx.x] = sum[0];
}}"""
"""Sums of rows, which lie in the same banks where a row is 32 words."""
MATRICES = """extern "C" __global__ void kernel(uint4* a, uint4* b) {{
  __shared__ alignas(16) uint4 s[32 * {width}];
  unsigned int to = __cvta_generic_to_shared(&s[threadIdx.x * {width}]);
  unsigned r[4];
  for (int n = 0; n < 8; ++n) {{
    asm volatile("cp.async.cg.shared.global [%0], [%1], %2;"
      :: "r"(to), "l"(a + {at}), "n"(16));
    asm volatile("cp.async.commit_group;");
    asm volatile("cp.async.wait_group 0;");
    __syncthreads();
    unsigned int addr = __cvta_generic_to_shared(&s[threadIdx.x * {width}]);
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {{%0, %1, %2, %3}}, [%4];\\n"
      : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(addr));
    __syncthreads();
  }}
  b[threadIdx.x] = make_uint4(r[0], r[1], r[2], r[3]);
}}"""
"""Copies rows of 16 bytes again and again, and loads matrices of them."""


def seconds(*launches: Launch, clock: str = "sample") -> list[float]:
    outcomes = launch(simulated(clock=clock), *launches)
    assert [outcome.error for outcome in outcomes] == [0] * len(launches)
    return [outcome.seconds for outcome in outcomes]


def test_the_clock_prefers_what_a_gpu_does_and_is_always_the_same() -> None:
    numbers = [np.arange(1 << 17, dtype="float32"), np.zeros(1 << 17, "float32")]
    size = {"grid": (512, 1, 1), "block": (256, 1, 1)}
    near, far = (
        Launch(COPY.format(at=at), numbers, **size)
        for at in ("blockIdx.x * 256 + threadIdx.x", "threadIdx.x * 512 + blockIdx.x")
    )
    padded, conflicting = (Launch(SUMS.format(width=width), numbers) for width in (33, 32))
    absurd = Launch(COPY.format(at="blockIdx.x"), numbers, (1 << 17, 1, 1), (1, 1, 1))
    first = seconds(near, far, padded, conflicting, absurd)
    assert first[0] * 1.5 < first[1]
    assert first[2] < first[3]
    assert first[0] * 1.5 < first[4]
    assert seconds(near, far, padded, conflicting, absurd) == first
    assert seconds(near, padded, clock="formula") == [first[0], first[2]]


def test_a_sample_does_not_run_the_other_blocks() -> None:
    numbers = [np.arange(1024, dtype="float32"), np.zeros(1024, "float32")]
    one = Launch(COPY.format(at="blockIdx.x * 32 + threadIdx.x"), numbers, (32, 1, 1))
    (whole,), (sample,) = (launch(simulated(clock=clock), one) for clock in ("formula", "sample"))
    assert whole.seconds == sample.seconds
    np.testing.assert_array_equal(whole.arrays[1], numbers[0])
    np.testing.assert_array_equal(sample.arrays[1], np.where(numbers[0] < 64, numbers[0], 0))


def test_asynchronous_copies_and_loads_of_matrices_are_counted_each_time() -> None:
    numbers = [np.zeros(1 << 16, "uint32"), np.zeros(128, "uint32")]
    plain, scattered, conflicting = (
        Launch(MATRICES.format(width=width, at=at), numbers)
        for width, at in (
            (1, "n * 32 + threadIdx.x"),
            (1, "n * 32 + threadIdx.x * 256"),
            (8, "n * 32 + threadIdx.x"),
        )
    )
    first, second, third = seconds(plain, scattered, conflicting)
    assert first * 1.02 < second
    assert first * 1.02 < third
