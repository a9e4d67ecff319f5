"""Reads a GPU sketch's instructions: the tile that each loop is, and its length.

Extents are products of tiles, so that they are known for any configuration.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from re import sub
from typing import Any

from chameleon_ray.compiler.spaces.sketch import Sketch
from chameleon_ray.limit import Product, product


@dataclass
class Cache:
    """A buffer that a block's operands or results are kept in.

    Attributes:
        block: The block whose operand or result it is.
        place: Place of the operand among the block's reads, or of the result among its writes.
        result: Whether it is a result.
        scope: Memory scope of the buffer.
        made: Number of the instruction that makes it.
        loop: The loop it is filled or emptied in; empty before that is known.
        sliced: Whether only a slice of it, one step along its first axis, is there at a time.
        padding: Padding, as for ``Box``.
    """

    block: str
    place: int
    result: bool
    scope: str
    made: int
    loop: str = ""
    sliced: bool = False
    padding: tuple[int, int] = (1, 0)


@dataclass
class BlockLoops:
    """A block's loops, as far as they are known.

    Attributes:
        roots: Its loops before they are split.
        order: The tiles in their order, from the outside.
        axes: The tiles that are bound to each thread axis.
        notes: The block's annotations.
        pipeline: Tiles whose steps a software pipeline overlaps; empty where there is none.
        copies: Copies that the pipeline has of the buffers of operands.
        slices: Number of slices that its sums are in; None where they are in one piece.
    """

    roots: list[str] = field(default_factory=list)
    order: list[str] = field(default_factory=list)
    axes: dict[str, list[str]] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)
    pipeline: list[str] = field(default_factory=list)
    copies: int = 1
    slices: Product | None = None


class SketchReading:
    """A sketch's instructions, read once."""

    def __init__(self, sketch: Sketch) -> None:
        self.kernels: dict[str, BlockLoops] = {}
        self.caches: dict[str, Cache] = {}
        self.numbers: dict[str, Product] = {}
        self.tiles: dict[str, list[str]] = {}  # of a loop: itself, or what it was fused from
        self.owner: dict[str, tuple[str, str]] = {}  # of a tile: its block, its root
        self.lengths: dict[str, Product | None] = {}  # of a tile
        self.slots = {slot.instruction: slot for slot in sketch.slots}
        for number, (kind, inputs, attributes, outputs) in enumerate(sketch.instructions):
            step = getattr(self, sub("(?=[A-Z])", "_", kind).lower(), None)
            if step is not None:
                step(number, inputs, attributes, outputs)

    def length(self, tiles: Iterable[str]) -> Product | None:
        """Returns the product of tiles; None where one is unknown."""
        return product([self.lengths.get(tile) for tile in tiles])

    def inside(self, kernel: BlockLoops, loop: str) -> set[str]:
        """Returns the tiles inside a loop."""
        outer = [kernel.order.index(t) for t in self.tiles[loop] if t in kernel.order]
        return set(kernel.order[max(outer) + 1 :]) if outer else set()

    def alongside(self, kernel: BlockLoops, together: tuple[str, ...]) -> set[str]:
        """Returns the tiles bound to axes whose names begin with a word of ``together``."""
        return {t for axis, ts in kernel.axes.items() if axis.startswith(together) for t in ts}

    def _get_loops(self, _: int, inputs: list[str], __: Any, outputs: list[str]) -> None:
        kernel = self.kernels.setdefault(inputs[0], BlockLoops())
        if not kernel.order:
            kernel.roots = outputs
        for loop in outputs:
            self.tiles[loop], self.owner[loop] = [loop], (inputs[0], loop)
            self.lengths[loop] = None

    def _sample_perfect_tile(self, number: int, _: Any, __: Any, outputs: list[str]) -> None:
        slot = self.slots[number]
        for place, name in enumerate(outputs):
            self.numbers[name] = _table(slot.knob, [d[place] for d in slot.decisions])

    def _sample_categorical(
        self, number: int, _: Any, attrs: list[Any], outputs: list[str]
    ) -> None:
        self.numbers[outputs[0]] = _table(self.slots[number].knob, attrs[0])

    def _split(self, _: int, inputs: list[Any], __: Any, outputs: list[str]) -> None:
        loop, *factors = inputs
        owner = self.owner.get(loop, ("", ""))
        for tile, factor in zip(outputs, factors, strict=True):
            self.tiles[tile], self.owner[tile] = [tile], owner
            known = Product(factor) if isinstance(factor, int) else self.numbers.get(factor)
            self.lengths[tile] = known

    def _fuse(self, _: int, inputs: list[str], __: Any, outputs: list[str]) -> None:
        self.tiles[outputs[0]] = [tile for loop in inputs for tile in self.tiles.get(loop, [loop])]

    def _reorder(self, _: int, inputs: list[str], __: Any, ___: Any) -> None:
        tiles = [tile for loop in inputs for tile in self.tiles.get(loop, [loop])]
        block = self.owner.get(tiles[0], ("", ""))[0]
        kernel = self.kernels.get(block)
        if kernel is not None and not kernel.order:
            kernel.order = tiles

    def _bind(self, _: int, inputs: list[str], attributes: list[str], __: Any) -> None:
        tiles = self.tiles.get(inputs[0], [])
        blocks = {self.owner[tile][0] for tile in tiles if tile in self.owner}
        for kernel in (self.kernels[block] for block in blocks if block in self.kernels):
            kernel.axes[attributes[0]] = tiles

    def _annotate(self, _: int, inputs: list[Any], attributes: list[str], __: Any) -> None:
        on, value = inputs
        if on in self.tiles:
            for block in {self.owner[tile][0] for tile in self.tiles[on] if tile in self.owner}:
                if attributes[0] == "software_pipeline_stage" and block in self.kernels:
                    self.kernels[block].pipeline = self.tiles[on]
                    self.kernels[block].copies = max(value) + 1
        else:
            self.kernels.setdefault(on, BlockLoops()).notes[attributes[0]] = value

    def _r_factor(self, _: int, inputs: list[str], __: Any, outputs: list[str]) -> None:
        self.kernels[outputs[0]] = BlockLoops(slices=self.length(self.tiles[inputs[0]]))

    def _cache_read(self, number: int, inputs: list[Any], attrs: list[Any], out: list[str]) -> None:
        self.caches[out[0]] = Cache(inputs[0], attrs[0], False, attrs[1], number)

    def _cache_write(
        self, number: int, inputs: list[Any], attrs: list[Any], out: list[str]
    ) -> None:
        self.caches[out[0]] = Cache(inputs[0], attrs[0], True, attrs[1], number)

    def _compute_at(self, _: int, inputs: list[str], __: Any, ___: Any) -> None:
        cache, loop = inputs
        if cache in self.caches:
            self.caches[cache].loop = loop
            around = self.owner.get(loop, ("", ""))[0]
            if around in self.caches:  # what is cached again is no more than a step of that loop
                self.caches[around].sliced = True

    _reverse_compute_at = _compute_at

    def _storage_align(self, _: int, inputs: list[str], attributes: list[int], __: Any) -> None:
        if inputs[0] in self.caches:
            self.caches[inputs[0]].padding = (attributes[2], attributes[3])


def _table(knob: int, numbers: Sequence[int]) -> Product:
    """Returns the numbers of a knob's choices as a product; a constant where it has one choice."""
    return Product(1, ((knob, tuple(numbers)),)) if knob >= 0 else Product(numbers[0])
