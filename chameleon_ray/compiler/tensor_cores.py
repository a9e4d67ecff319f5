"""Instructions of NVIDIA's tensor cores, as TVM's tensor intrinsics: ``mma`` and ``ldmatrix``.

The 32 threads of a warp multiply tiles of 16 rows and 16 columns together. Each keeps an equal part
of a tile in its registers. The parts of factors are filled by ``ldmatrix`` and read by ``mma``
only, so a factor's tile is stored as a whole in a thread's local memory, of which the first of 32
parts is used; the compiler drops the rest. Sums are read by other code, too. Their tiles are laid
out by thread, as ``sums_layout`` says.

TVM has intrinsics of its own (``tvm.s_tir.tensor_intrin.cuda``). They have no bfloat16 and no TF32,
and TVM 0.27 leaves their factors' registers indexed by the thread, which moves them into memory.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from chameleon_ray.compiler.tvm_process import quick_parsing

WARP, TILE = 32, 16
"""Threads of a warp; rows and columns of a tile of sums."""
SUMS = TILE * TILE // WARP
"""Sums of a tile that a thread has."""
SHARED = "shared.dyn"
"""Memory scope that ``ldmatrix`` reads from."""


@dataclass(frozen=True)
class Instruction:
    """An instruction that multiplies two tiles and adds the products to float32 sums.

    Attributes:
        dtype: Type of the factors in memory.
        depth: Number of products that are added to each sum.
        name: PTX's name of the factors' type.
    """

    dtype: str
    depth: int
    name: str

    @property
    def part(self) -> int:
        """Number of a factor's elements in a thread's registers."""
        return TILE * self.depth // WARP

    @property
    def row(self) -> int:
        """Number of elements in a row that ``ldmatrix`` reads."""
        return self.depth // 2

    def product(self, transposed: bool) -> str:
        """Name of the intrinsic that multiplies; transposed right factors have rows of products."""
        return f"chameleon_mma_{self.dtype}_{'nk' if transposed else 'kn'}"

    def load(self, factor: str) -> str:
        """Name of the intrinsic that loads a factor: ``mk``, ``nk`` or ``kn``, by its axes."""
        return f"chameleon_ldmatrix_{self.dtype}_{factor}"

    @property
    def factors(self) -> tuple[str, ...]:
        """Factors that can be loaded; ``ldmatrix`` transposes numbers of 16 bits only."""
        return ("mk", "nk", "kn") if self.depth == TILE else ("mk", "nk")


INSTRUCTIONS = {
    "float16": Instruction("float16", 16, "fp16"),
    "bfloat16": Instruction("bfloat16", 16, "bf16"),
    "float32": Instruction("float32", 8, "tf32"),
}
"""Instructions by the type of their factors; of float32 they take what TF32 has."""


def sums_layout(i: Any, j: Any) -> list[Any]:
    """Place of a sum: its tile's row and column, the thread that has it, its place there."""
    thread = 4 * (i % 8) + j % 8 // 2
    return [i // TILE, j // TILE, thread, 4 * (j % TILE // 8) + i % TILE // 8 * 2 + j % 2]


def factor_layout(rows: int, columns: int) -> Callable[[Any, Any], list[Any]]:
    """Makes the layout of a factor by tiles of so many rows and columns."""
    return lambda i, j: [i // rows, j // columns, i % rows, j % columns]


@cache
def register_tensor_cores() -> None:
    """Registers all intrinsics with TVM."""
    from tvm.s_tir import TensorIntrin

    with quick_parsing():
        for instruction in INSTRUCTIONS.values():
            for factor in instruction.factors:
                pair = _loading(instruction, factor), _ldmatrix(instruction, factor)
                TensorIntrin.register(instruction.load(factor), *pair, override=True)
            for transposed in (factor == "nk" for factor in instruction.factors[1:]):
                pair = _multiplying(instruction, transposed), _mma(instruction, transposed)
                TensorIntrin.register(instruction.product(transposed), *pair, override=True)


def _tile(instruction: Instruction, factor: str) -> tuple[int, int]:
    """Returns the rows and columns of a factor's tile."""
    rows, columns = (TILE if axis in "mn" else instruction.depth for axis in factor)
    return rows, columns


def _loading(instruction: Instruction, factor: str) -> Any:
    """Makes the function that says what the loading of a factor's tile computes."""
    from tvm.script import tirx as T

    dtype, row = instruction.dtype, instruction.row
    rows, columns = _tile(instruction, factor)

    @T.prim_func(s_tir=True)
    def loading(source: T.handle, target: T.handle) -> None:
        shared = T.match_buffer(
            source, (rows, columns), dtype, align=64, offset_factor=row, scope=SHARED
        )
        local = T.match_buffer(
            target, (rows, columns), dtype, align=64, offset_factor=row, scope="local"
        )
        with T.sblock("root"):
            T.reads(shared[0:rows, 0:columns])
            T.writes(local[0:rows, 0:columns])
            for i, j in T.grid(rows, columns):
                with T.sblock("load"):
                    vi, vj = T.axis.remap("SS", [i, j])
                    local[vi, vj] = shared[vi, vj]

    return loading


def _ldmatrix(instruction: Instruction, factor: str) -> Any:
    """Makes the function that loads a factor's tile."""
    from tvm.script import tirx as T

    dtype, row, trans = instruction.dtype, instruction.row, factor == "kn"
    rows, columns = _tile(instruction, factor)

    def load(shared: Any, local: Any, thread: Any, stride: Any) -> Any:
        to, at = local.elem_offset // WARP, shared.access_ptr("r")
        return T.ptx_legacy.ldmatrix(
            trans, 4, ".b16", local.data, to, at, _row(thread, stride, row, factor), dtype=dtype
        )

    @T.prim_func(s_tir=True)
    def ldmatrix(source: T.handle, target: T.handle) -> None:
        s0 = T.int32()
        s1 = T.int32()
        shared = T.match_buffer(
            source,
            (rows, columns),
            dtype,
            strides=[s0, s1],
            align=64,
            offset_factor=row,
            scope=SHARED,
        )
        local = T.match_buffer(
            target, (rows, columns), dtype, align=64, offset_factor=row, scope="local"
        )
        with T.sblock("root"):
            T.reads(shared[0:rows, 0:columns])
            T.writes(local[0:rows, 0:columns])
            for tx in T.thread_binding(0, WARP, "threadIdx.x"):
                T.evaluate(load(shared, local, tx, s0))

    return ldmatrix


def _row(thread: Any, stride: Any, row: int, factor: str) -> Any:
    """Offset of the row that a thread names; every 8 threads name the rows of one small matrix."""
    if factor == "nk":
        return stride * (thread // 16 * 8 + thread % 8) + thread % 16 // 8 * row
    return stride * (thread % 16) + thread // 16 * row


def _multiplying(instruction: Instruction, transposed: bool) -> Any:
    """Makes the function that says what the multiplication of two tiles computes."""
    from tvm.script import tirx as T

    dtype, depth, row = instruction.dtype, instruction.depth, instruction.row
    rows, columns = _tile(instruction, "nk" if transposed else "kn")

    def of_right(j: Any, k: Any) -> tuple[Any, Any]:
        return (j, k) if transposed else (k, j)

    def wide(value: Any) -> Any:
        return value if dtype == "float32" else T.Cast("float32", value)

    @T.prim_func(s_tir=True)
    def multiplying(a: T.handle, b: T.handle, c: T.handle) -> None:
        left = T.match_buffer(a, (TILE, depth), dtype, align=64, offset_factor=row, scope="local")
        right = T.match_buffer(
            b, (rows, columns), dtype, align=64, offset_factor=row, scope="local"
        )
        sums = T.match_buffer(c, (WARP, SUMS), "float32", align=64, offset_factor=1, scope="warp")
        with T.sblock("root"):
            T.reads(sums[0:WARP, 0:SUMS], left[0:TILE, 0:depth], right[0:rows, 0:columns])
            T.writes(sums[0:WARP, 0:SUMS])
            for i, j, k in T.grid(TILE, TILE, depth):
                with T.sblock("multiply"):
                    vi, vj, vk = T.axis.remap("SSR", [i, j, k])
                    first, second = T.meta_var(of_right(vj, vk))
                    thread, place = T.meta_var(sums_layout(vi, vj)[2:])
                    sums[thread, place] = sums[thread, place] + wide(left[vi, vk]) * wide(
                        right[first, second]
                    )

    return multiplying


def _mma(instruction: Instruction, transposed: bool) -> Any:
    """Makes the function that multiplies two tiles, by two instructions for 8 columns each."""
    from tvm.script import tirx as T

    dtype, depth, row = instruction.dtype, instruction.depth, instruction.row
    rows, columns = _tile(instruction, "nk" if transposed else "kn")
    form = (f"m16n8k{depth}", "row", "col", instruction.name, instruction.name, "fp32")

    def multiply(left: Any, right: Any, sums: Any, thread: Any, half: Any) -> Any:
        """Multiplies by the right factor's first or last 8 columns."""
        return T.ptx_legacy.mma(
            *form,
            left.data,
            left.elem_offset // WARP,
            right.data,
            right.elem_offset // WARP + half * (instruction.part // 2),
            sums.data,
            sums.elem_offset + thread * SUMS + half * (SUMS // 2),
            False,
            dtype="float32",
        )

    @T.prim_func(s_tir=True)
    def mma(a: T.handle, b: T.handle, c: T.handle) -> None:
        left = T.match_buffer(a, (TILE, depth), dtype, align=64, offset_factor=row, scope="local")
        right = T.match_buffer(
            b, (rows, columns), dtype, align=64, offset_factor=row, scope="local"
        )
        sums = T.match_buffer(c, (WARP, SUMS), "float32", align=64, offset_factor=1, scope="warp")
        with T.sblock("root"):
            T.reads(sums[0:WARP, 0:SUMS], left[0:TILE, 0:depth], right[0:rows, 0:columns])
            T.writes(sums[0:WARP, 0:SUMS])
            for tx in T.thread_binding(0, WARP, "threadIdx.x"):
                for half in T.unroll(2):
                    T.evaluate(multiply(left, right, sums, tx, half))

    return mma
