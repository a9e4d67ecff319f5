"""SwiftNet: the wiring of a network from architecture search for visual wake words.

The three cells are those of the network published for the challenge of 2019 (in uint8, 224 x 224).
Each has the pooling before it and the residual sum at its end.
"""

from dataclasses import dataclass

from chameleon_ray.graph.wiring import Op, parse, prefixed


@dataclass(frozen=True)
class Cell:
    """One cell.

    Attributes:
        inputs: Channels before the pooling.
        width: Channels of each convolution.
        outputs: Channels of the sum.
        side: Pixels after the pooling.
        wiring: Operations with their inputs. ``c`` are 1 x 1 convolutions, ``d`` 3 x 3 depthwise
            ones, and ``p`` the 1 x 1 ones that follow those.
    """

    inputs: int
    width: int
    outputs: int
    side: int
    wiring: str


CELLS = {
    "a": Cell(
        *(32, 32, 48, 28),
        "x(input) c14(x) c17(c14) c18(x) c19(c14) c20(x,c14) c21(c19,c20) c23(c14,c21) "
        "c24(x,c18,c19,c20) d25(c20) p25(d25) d26(c23) p26(d26) d27(c20,c21) p27(d27) "
        "d28(x,c18) p28(d28) c29(c17,c20,c23,c24) id(x) proj(p25,p26,p27,p28,c29) add(proj,id)",
    ),
    "b": Cell(
        *(48, 48, 80, 14),
        "x(input) c43(x) c48(x) c49(x) c50(x) d45(c43) p45(d45) d47(c43) p47(d47) c51(c43,p45) "
        "c52(p47,c48) c54(x,c43,p45,c49) c55(c54) c57(c48) d59(c43,p45) p59(d59) id(x) "
        "proj(c50,c51,c52,c55,c57,p59) add(proj,id)",
    ),
    "c": Cell(
        *(80, 64, 76, 7),
        "x(input) c67(x) d71(c67) p71(d71) c75(c67) c80(x,p71) d81(c67) p81(d81) d82(c75) "
        "p82(d82) c83(c67) d84(c75) p84(d84) d85(c67,p71) p85(d85) d87(c67) p87(d87) d89(c67) "
        "p89(d89) id(x) proj(c80,p81,p82,c83,p84,p85,p87,p89) add(proj,id)",
    ),
}


def cell(name: str) -> list[Op]:
    """Returns cell ``a``, ``b`` or ``c``, which reads ``input``, of twice its side."""
    shape = CELLS[name]
    ops: dict[str, Op] = {}
    for op, reads in parse(shape.wiring):
        kind, channels = "conv", shape.width
        if op == "x":
            kind, channels = "pool", shape.inputs
        elif op in ("id", "proj", "add"):
            kind, channels = "add" if op == "add" else "linear", shape.outputs
        elif op.startswith("d"):
            kind, channels = "depthwise", sum(ops[read].channels for read in reads)
        ops[op] = Op(op, kind, reads, channels, shape.side)
    return list(ops.values())


def cells() -> list[Op]:
    """Returns the three cells, one after the other."""
    a, b, c = (cell(name) for name in CELLS)
    return [
        *prefixed(a, "a.", {"input": "input"}),
        *prefixed(b, "b.", {"input": "a.add"}),
        *prefixed(c, "c.", {"input": "b.add"}),
    ]
