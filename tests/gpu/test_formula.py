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


def seconds(*launches: Launch) -> list[float]:
    outcomes = launch(simulated(clock="formula"), *launches)
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
