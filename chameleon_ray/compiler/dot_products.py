"""Dot products of small integers, which x86 CPUs sum up in every 32-bit lane of a vector.

``vpdpbusd``, of AVX512-VNNI and AVX-VNNI, adds to each lane four products of an unsigned and a
signed byte. Every other CPU has ``pmaddwd``, which makes two products of 16-bit numbers. Both are
exact. ``vpmaddubsw``, the product of bytes that older CPUs have, saturates at 16 bits.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from chameleon_ray.compiler.target import vector_bits

INTRINSICS = {
    (16, 4): "llvm.x86.avx512.vpdpbusd.512",
    (8, 4): "llvm.x86.avx512.vpdpbusd.256",
    (4, 4): "llvm.x86.avx512.vpdpbusd.128",
    (16, 2): "llvm.x86.avx512.pmaddw.d.512",
    (8, 2): "llvm.x86.avx2.pmadd.wd",
    (4, 2): "llvm.x86.sse2.pmadd.wd",
}
"""LLVM's intrinsics by lanes and products in a lane; AVX-VNNI has the names of AVX512-VNNI."""

MARK = "chameleon_dot_product"
"""Annotation of a block that an instruction does: the instruction's name."""
SIGN = 128
"""Number that is added to a signed byte to make it an unsigned one."""


@dataclass(frozen=True)
class DotProduct:
    """An instruction that multiplies and sums up.

    Attributes:
        lanes: Sums in a vector; each is an int32.
        group: Products that are added to each sum: 4, of uint8 by int8, or 2, of int16 by int16.
    """

    lanes: int
    group: int

    @property
    def data(self) -> str:
        """Type of the left factors, of which all lanes have the same."""
        return "uint8" if self.group == 4 else "int16"

    @property
    def weights(self) -> str:
        """Type of the right factors, of which every lane has its own."""
        return "int8" if self.group == 4 else "int16"

    @property
    def name(self) -> str:
        """Name of TVM's tensor intrinsic for it."""
        return f"chameleon_dot_{self.lanes}x{self.group}"


DOT_PRODUCTS = {dot.name: dot for dot in (DotProduct(*sizes) for sizes in INTRINSICS)}
"""All instructions, by the names of their tensor intrinsics."""


def dot_product(target: Any, channels: int, wide: bool) -> DotProduct | None:
    """Chooses the instruction for a number of output channels, which its lanes divide.

    Args:
        target: ``tvm.target.Target`` of a CPU.
        channels: Number of output channels.
        wide: Whether factors need more than 8 bits.

    Returns:
        The instruction; None where the target is not x86, or the channels have no divisor that is
        worth a vector.
    """
    from tvm.target.codegen import target_has_features as has

    if not has("sse2", target):
        return None
    bits = min(vector_bits(target), 512 if has("avx512bw", target) else 256)
    bits = bits if has("avx2", target) else 128
    lanes = math.gcd(channels, bits // 32)
    fast = has("avx512vnni", target) or has("avxvnni", target)
    group = 4 if fast and not wide else 2
    return DotProduct(lanes, group) if (lanes, group) in INTRINSICS else None


@cache
def register_dot_products() -> None:
    """Registers TVM's tensor intrinsics for all instructions, once in a process."""
    from tvm.s_tir import TensorIntrin

    for name, dot in DOT_PRODUCTS.items():
        TensorIntrin.register(name, _function(dot, _loops), _function(dot, _instruction))


def _function(dot: DotProduct, body: Callable[[DotProduct, Any, Any, Any], None]) -> Any:
    """Makes a PrimFunc that adds dot products to the sums; the sums are in registers."""
    from tvm.script.ir_builder import IRBuilder
    from tvm.tirx.script import builder as T

    lanes, group = dot.lanes, dot.group
    with IRBuilder() as builder, T.prim_func(s_tir=True):
        shapes = {
            "data": ((group,), dot.data, "global"),
            "weights": ((lanes, group), dot.weights, "global"),
            "sums": ((lanes,), "int32", "local"),
        }
        buffers = [
            T.arg(name, T.buffer(shape, dtype, scope=scope, offset_factor=1))
            for name, (shape, dtype, scope) in shapes.items()
        ]
        data, weights, sums = buffers
        with T.sblock("root"):
            T.reads(sums[0:lanes], data[0:group], weights[0:lanes, 0:group])
            T.writes(sums[0:lanes])
            body(dot, *buffers)
    return builder.get()


def _loops(dot: DotProduct, data: Any, weights: Any, sums: Any) -> None:
    from tvm.tirx.script import builder as T

    with T.grid(dot.lanes, dot.group) as (i, k), T.sblock("update"):
        lane, place = T.axis.remap("SR", [i, k])
        product = T.cast(data[place], "int32") * T.cast(weights[lane, place], "int32")
        T.buffer_store(sums, sums[lane] + product, [lane])


def _instruction(dot: DotProduct, data: Any, weights: Any, sums: Any) -> None:
    import tvm
    from tvm.tirx.script import builder as T

    lanes, group, total = dot.lanes, dot.group, f"int32x{dot.lanes}"
    one = T.reinterpret("int32", data.vload([0], f"{dot.data}x{group}"))
    same = T.reinterpret(f"{dot.data}x{lanes * group}", T.broadcast(one, lanes))
    own = weights.vload([0, 0], f"{dot.weights}x{lanes * group}")
    before = sums.vload([0], total)
    factors = (before, same, own) if group == 4 else (same, own)
    made = tvm.tirx.call_llvm_pure_intrin(total, INTRINSICS[lanes, group], *factors)
    after = made if group == 4 else before + made
    T.buffer_store(sums, after, [T.ramp(0, 1, lanes)])
