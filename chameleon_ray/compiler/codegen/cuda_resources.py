"""Reads a compiled kernel's use of a GPU from its binary and the compiler's report.

A binary is an ELF file. Registers, stack and threads are in its ``.nv.info`` sections. Static
shared memory is the size of ``.nv.shared.NAME``. Spills are in ptxas's report only.
"""

import json
import re
import struct
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from chameleon_ray.compiler.codegen.cuda_compiler import Binary
from chameleon_ray.compiler.nvidia import KIB, occupancy

REGCOUNT, FRAME_SIZE, MAX_THREADS = 0x2F, 0x11, 0x05
"""Attributes of ``.nv.info``; the first two are of a symbol, the last is of a kernel's section."""
SIZED = 4
"""Format of attributes that carry their size; others are four bytes."""
NO_BITS = 8
"""Type of sections that take no room in the file."""
RESERVED = ".nv.shared.reserved.0"
"""Section of binaries in which a kernel's shared memory includes the KiB that the system takes."""
SPILLS = re.compile(r"(\d+) bytes spill stores, (\d+) bytes spill loads")
COMPILING = re.compile(r"Compiling entry function '(\w+)'")


@dataclass(frozen=True)
class Resources:
    """Use of a GPU by the kernels of one layer, each figure that of the kernel that takes most.

    Attributes:
        kernels: Number of kernels.
        threads: Threads of a block.
        registers: Registers of a thread.
        spilled: Bytes that do not fit into registers, stored and loaded.
        stack: Bytes of a thread's stack.
        shared: Bytes of shared memory of a block, static and dynamic.
        occupancy: Share of a multiprocessor's warps that can be resident; the least.
    """

    kernels: int
    threads: int
    registers: int
    spilled: int
    stack: int
    shared: int
    occupancy: float

    def dumps(self) -> str:
        """Writes the figures as JSON, for records."""
        return json.dumps({**asdict(self), "occupancy": round(self.occupancy, 4)})


class BinaryError(Exception):
    """A binary that cannot be read."""


def resources(binary: Binary, arch: str, dynamic: int = 0) -> Resources:
    """Returns the figures of all kernels of a binary.

    Args:
        binary: A binary compiled for ``arch``.
        arch: Architecture, as in the target.
        dynamic: Most bytes of shared memory that a block asks for at launch.

    Raises:
        BinaryError: It is no such binary.
    """
    try:
        found = list(kernels(binary.code))
    except (struct.error, ValueError, IndexError, KeyError) as error:
        raise BinaryError(f"the binary cannot be read: {error}") from error
    if not found:
        raise BinaryError("the binary has no kernel")
    spilled = spills(binary.report)
    occupied = [
        occupancy(arch, kernel.threads, kernel.registers, kernel.shared + dynamic)
        for kernel in found
    ]
    return Resources(
        kernels=len(found),
        threads=max(kernel.threads for kernel in found),
        registers=max(kernel.registers for kernel in found),
        spilled=max(spilled.values(), default=0),
        stack=max(kernel.stack for kernel in found),
        shared=max(kernel.shared for kernel in found) + dynamic,
        occupancy=min(occupied),
    )


@dataclass(frozen=True)
class Kernel:
    """One kernel as its binary has it; without bounds on its launch it has 1024 threads."""

    name: str
    threads: int
    registers: int
    stack: int
    shared: int


def kernels(code: bytes) -> Iterator[Kernel]:
    """Yields the kernels of a binary, in its order."""
    sections = dict(_sections(code))
    symbols = _symbols(sections[".symtab"], sections[".strtab"])
    registers, stack = dict[str, int](), dict[str, int]()
    for attribute, payload in _attributes(sections.get(".nv.info", b"")):
        if attribute in (REGCOUNT, FRAME_SIZE):
            symbol, value = struct.unpack("<II", payload)
            (registers if attribute == REGCOUNT else stack)[symbols[symbol]] = value
    sizes, reserved = dict(_shared(code)), KIB if RESERVED in sections else 0
    for section in sections:
        if section.startswith(".nv.info."):
            name = section.removeprefix(".nv.info.")
            threads = 1024
            for attribute, payload in _attributes(sections[section]):
                if attribute == MAX_THREADS:
                    x, y, z = struct.unpack("<III", payload)
                    threads = x * y * z
            shared = max(sizes.get(name, 0) - reserved, 0)
            yield Kernel(name, threads, registers.get(name, 0), stack.get(name, 0), shared)


def spills(report: str) -> dict[str, int]:
    """Returns the spilled bytes, stored and loaded, by kernel, from ptxas's report."""
    parts = COMPILING.split(report)[1:]
    return {
        name: sum(int(number) for found in SPILLS.findall(said) for number in found)
        for name, said in zip(parts[::2], parts[1::2], strict=True)
    }


def _headers(code: bytes) -> list[tuple[str, int, int, int]]:
    """Returns name, type, offset and size of every section of a 64-bit ELF file."""
    if code[:5] != b"\x7fELF\x02":
        raise ValueError("it is no 64-bit ELF file")
    (start,) = struct.unpack_from("<Q", code, 40)
    size, count, names = struct.unpack_from("<HHH", code, 58)
    raw = [struct.unpack_from("<IIQQQQ", code, start + size * n) for n in range(count)]
    strings = raw[names][4]
    return [(_text(code, strings + name), kind, at, n) for name, kind, _, _, at, n in raw]


def _sections(code: bytes) -> Iterator[tuple[str, bytes]]:
    for name, kind, offset, size in _headers(code):
        yield name, b"" if kind == NO_BITS else code[offset : offset + size]


def _shared(code: bytes) -> Iterator[tuple[str, int]]:
    """Yields the bytes of static shared memory by kernel, the system's included."""
    for name, _, _, size in _headers(code):
        if name.startswith(".nv.shared.") and not name.startswith(".nv.shared.reserved"):
            yield name.removeprefix(".nv.shared."), size


def _symbols(table: bytes, names: bytes) -> list[str]:
    return [_text(names, struct.unpack_from("<I", table, at)[0]) for at in range(0, len(table), 24)]


def _attributes(info: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(info):
        form, attribute, size = struct.unpack_from("<BBH", info, at)
        at += 4
        if form == SIZED:
            yield attribute, info[at : at + size]
            at += size


def _text(body: bytes, at: int) -> str:
    return body[at : body.index(b"\0", at)].decode()
