"""The normal cell of DARTS (Liu et al., ICLR 2019, second order), for ImageNet."""

from chameleon_ray.graph.wiring import Op, prefixed

GENOTYPE = (
    (("sep", 0), ("sep", 1)),
    (("sep", 0), ("sep", 1)),
    (("sep", 1), ("skip", 0)),
    (("skip", 0), ("dilated", 2)),
)
"""Two operations per intermediate state, each with the number of the earlier state it reads."""
CHANNELS, SIDE = 48, 28


def cell() -> list[Op]:
    """Returns the cell, which reads the outputs ``before`` and ``last`` of the two cells before."""
    ops = [_op("s0", "relu-conv", "before"), _op("s1", "relu-conv", "last")]
    for number, operations in enumerate(GENOTYPE, 2):
        ends = []
        for edge, (kind, read) in enumerate(operations):
            chain = _edge(kind, f"s{number}.{edge}", f"s{read}")
            ops += chain
            ends.append(chain[-1].name if chain else f"s{read}")
        ops.append(_op(f"s{number}", "add", *ends))
    states = tuple(f"s{number}" for number in range(2, 2 + len(GENOTYPE)))
    return [*ops, Op("output", "concat", states, len(states) * CHANNELS, SIDE)]


def cells(count: int = 3) -> list[Op]:
    """Returns a chain of cells, each of which reads the two before it."""
    before, last = "before", "last"
    ops: list[Op] = []
    for number in range(count):
        prefix = f"c{number}."
        ops += prefixed(cell(), prefix, {"before": before, "last": last})
        before, last = last, f"{prefix}output"
    return ops


def _edge(kind: str, name: str, read: str) -> list[Op]:
    """Returns an edge's operations.

    A separable convolution is two pairs of a depthwise and a pointwise one; a dilated one is a
    single pair.
    """
    chain: list[Op] = []
    depthwise = "relu-dilated" if kind == "dilated" else "relu-depthwise"
    for turn in range({"sep": 2, "dilated": 1, "skip": 0}[kind]):
        chain.append(_op(f"{name}.d{turn}", depthwise, chain[-1].name if chain else read))
        chain.append(_op(f"{name}.p{turn}", "linear", chain[-1].name))
    return chain


def _op(name: str, kind: str, *reads: str) -> Op:
    return Op(name, kind, reads, CHANNELS, SIDE)
