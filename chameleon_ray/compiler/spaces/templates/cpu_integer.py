"""A template for CPUs: convolutions and products of small integers, by dot products.

The loops are those of ``cpu_direct``, with groups of input channels in place of single ones. One
instruction multiplies a group of the data by a group of the weights in every channel of a vector,
and adds the products to the sums, which stay in registers. What the data are prepared with, such as
padding, is a stage of its own before all others.
"""

import math
from dataclasses import replace
from typing import Any

import tvm
from tvm.s_tir import Schedule

from chameleon_ray.compiler.dot_products import DOT_PRODUCTS, register_dot_products
from chameleon_ray.compiler.spaces.sketch import SEED
from chameleon_ray.compiler.spaces.templates.cpu_direct import SPARE, summed
from chameleon_ray.compiler.spaces.templates.reduction import find_reduction
from chameleon_ray.compiler.spaces.templates.template import Fitted
from chameleon_ray.compiler.target import vector_bits, vector_registers


def cpu_integer(module: Any, target: Any) -> Fitted | None:
    """Fits the template; see ``Template``."""
    layer = find_reduction(module)
    if layer is None or not layer.dot:
        return None
    register_dot_products()
    schedule = Schedule(module, seed=SEED, debug_mask=0)
    for name in layer.between:
        schedule.compute_inline(schedule.get_sblock(name))
    if prepared := layer.padding or "".join(layer.copies):
        _prepare(schedule, prepared, vector_bits(target))
    *reduced, _ = layer.reduced
    layer = replace(layer, reduced=tuple(reduced), shared=True, padding="")
    most = vector_registers(target) - SPARE
    block = summed(schedule, layer, DOT_PRODUCTS[layer.dot].lanes, most)
    return Fitted(schedule.trace, block, (most // 4, most))


def _prepare(schedule: Schedule, name: str, bits: int) -> None:
    """Prepares the data in vectors, and parts of it in parallel."""
    block = schedule.get_sblock(name)
    buffer = schedule.get(block).writes[0].source
    vector = math.gcd(int(buffer.shape[-1]), bits // tvm.DataType(buffer.dtype).bits)
    *outer, channels = schedule.get_loops(block)
    schedule.vectorize(schedule.split(channels, [None, vector])[1])
    schedule.parallel(schedule.fuse(*outer[:2]))
