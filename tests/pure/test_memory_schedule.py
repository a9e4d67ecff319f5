"""Orders of least peak memory: against brute force, and the wirings of SwiftNet and DARTS."""

import itertools
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from chameleon_ray.graph import darts, randwire, swiftnet
from chameleon_ray.graph.arena import place
from chameleon_ray.graph.graph import ADD, CONCAT, CONV, DEPTHWISE, Graph, Node, bits
from chameleon_ray.graph.rewriting import rewrite
from chameleon_ray.graph.scheduler import cut, schedule
from chameleon_ray.graph.wiring import Op, graph_of
from chameleon_ray.options import Scheduling

KINDS = (CONV, CONV, DEPTHWISE, ADD, CONCAT, "other")
UNIT = darts.CHANNELS * darts.SIDE**2 * 4


def random_graph(seed: int, nodes: int) -> Graph:
    """Operations of all kinds that read one to three others; some outputs are kept."""
    rng = np.random.default_rng(seed)
    made, sizes = [], list(map(int, rng.integers(1, 6, nodes)))
    for number in range(nodes):
        count = min(number, int(rng.integers(1, 4)))
        reads = tuple(map(int, rng.choice(number, count, replace=False))) if count else ()
        kind = str(rng.choice(KINDS))
        if kind == ADD and reads:
            for read in reads:  # sums are of equal sizes
                sizes[number] = sizes[read]
        if kind in (DEPTHWISE, CONCAT):
            sizes[number] = sum(sizes[read] for read in reads) or sizes[number]
        made.append(Node(f"n{number}", reads, number, kind, linear=bool(rng.random() < 0.7)))
    kept = frozenset(map(int, np.flatnonzero(rng.random(nodes) < 0.1)))
    return Graph(tuple(sizes), tuple(made), kept | {nodes - 1})


def orders(graph: Graph, done: int = 0) -> Iterator[tuple[int, ...]]:
    """Every order in which the nodes can run."""
    if done == graph.everything:
        yield ()
    for number in bits(graph.ready(done)):
        yield from ((number, *rest) for rest in orders(graph, done | 1 << number))


def level(graph: Graph, done: set[int]) -> int:
    """What is allocated, from the definition: written, and still to be written or read, or kept."""
    total = 0
    for buffer, size in enumerate(graph.sizes):
        writers = {n for n, node in enumerate(graph.nodes) if node.writes == buffer}
        readers = {n for n, node in enumerate(graph.nodes) if buffer in node.reads}
        if writers & done and (buffer in graph.kept or not writers | readers <= done):
            total += size
    return total


def peak(graph: Graph, order: tuple[int, ...]) -> int:
    """The most that is allocated while a node runs, its output included."""
    done, found = set[int](), 0
    for number in order:
        written = {graph.nodes[n].writes for n in done}
        output = graph.nodes[number].writes
        found = max(found, level(graph, done) + (0 if output in written else graph.sizes[output]))
        done.add(number)
    return found


def least(graph: Graph) -> int:
    """The least peak of all orders."""
    return min(peak(graph, order) for order in orders(graph))


def exhaustive(seed: int) -> Graph:
    return random_graph(seed, 3 + seed % 6)


@pytest.mark.parametrize("seed", range(40))
def test_is_as_good_as_the_best_of_all_orders(seed: int) -> None:
    graph = exhaustive(seed)
    for one in (graph, rewrite(graph)):
        if len(one.nodes) > 9:
            continue
        found = schedule(one)
        assert found.optimal
        assert found.peak == peak(one, found.order) == least(one)


@pytest.mark.parametrize("seed", range(60))
def test_rewriting_never_raises_the_optimum(seed: int) -> None:
    graph = random_graph(seed, 12)
    before = schedule(graph).peak
    assert schedule(rewrite(graph, kernel_wise=False)).peak <= before
    assert schedule(rewrite(graph)).peak <= before


@pytest.mark.parametrize("seed", range(30))
def test_cuts_and_budgets_change_nothing(seed: int) -> None:
    graph = random_graph(seed, 18)
    found = schedule(graph)
    whole = schedule(graph, Scheduling(divide=False))
    plain = schedule(graph, Scheduling(divide=False, beam=1, width=10**9))
    narrow = schedule(graph, Scheduling(beam=1, width=1, growth=2))
    assert found.peak == whole.peak == plain.peak == narrow.peak
    assert found.optimal
    assert narrow.optimal
    assert schedule(graph) == found


SWIFTNET = {
    ("a", False): (21, 200_704, 33, 163_072, 37, 163_072),
    ("a", True): (21, 200_704, 33, 188_160, 37, 188_160),
    ("b", False): (19, 81_536, 28, 53_312, 30, 53_312),
    ("b", True): (19, 81_536, 28, 56_448, 30, 53_312),
    ("c", False): (22, 32_536, 29, 16_268, 31, 16_268),
    ("c", True): (22, 32_732, 29, 19_600, 31, 17_052),
}
"""Nodes and bytes, scheduled, rewritten channel-wise, and kernel-wise too; by cell and whether its
input is kept. The node counts are the paper's; the bytes were computed independently."""


@pytest.mark.parametrize(("cell", "kept"), SWIFTNET)
def test_swiftnet(cell: str, kept: bool) -> None:
    graph = graph_of(swiftnet.cell(cell), kept=("x",) if kept else ())
    found = []
    for one in (graph, rewrite(graph, kernel_wise=False), rewrite(graph)):
        best = schedule(one)
        assert best.optimal
        found += [len(one.nodes), best.peak]
    assert tuple(found) == SWIFTNET[cell, kept]


def test_swiftnet_as_a_whole_is_its_largest_cell() -> None:
    graph = graph_of(swiftnet.cells())
    copying = graph_of(swiftnet.cells(), copies=True)
    assert len(graph.nodes) == 62
    assert schedule(graph).peak == schedule(graph, Scheduling(divide=False)).peak == 200_704
    assert len(rewrite(graph, kernel_wise=False).nodes) == 90
    assert schedule(rewrite(graph)).peak == schedule(rewrite(copying)).peak == 163_072
    assert schedule(copying).peak == 275_968


def test_darts() -> None:
    assert schedule(graph_of(darts.cell(), 4)).peak == 6 * UNIT
    assert schedule(graph_of(darts.cell(), 4, copies=True)).peak == 8 * UNIT


def test_randwire_sums_are_not_rewritten() -> None:
    graph = graph_of(randwire.stage(0))
    assert rewrite(graph) == graph
    assert schedule(graph).peak < graph.peak(range(len(graph.nodes)))


def test_time_that_is_up_is_said_to_be() -> None:
    graph = graph_of(randwire.stage(1, 64))
    found = schedule(graph, Scheduling(seconds=0.2))
    assert not found.optimal
    assert found.peak == graph.peak(found.order) <= graph.peak(range(len(graph.nodes)))


def test_what_scheduled_parts_have_in_common() -> None:
    graph = graph_of(swiftnet.cells())
    parts = cut(graph)
    names = [graph.nodes[max(bits(part.end & ~part.start))].name for part in parts]
    assert [name for name in names if name.endswith((".x", ".add"))] == [
        *("a.x", "a.add", "b.x", "b.add", "c.x", "c.add")
    ]
    assert parts[0].start == 0
    assert parts[-1].end == graph.everything
    assert all(one.end == other.start for one, other in itertools.pairwise(parts))


def test_kernel_wise_needs_parts_in_proportion() -> None:
    nodes = (
        Node("a", (), 0),
        Node("b", (), 1),
        Node("d", (0, 1), 2, DEPTHWISE),
        Node("c", (2,), 3, CONV),
    )
    assert len(rewrite(Graph((3, 6, 9, 1), nodes)).nodes) == 6
    assert len(rewrite(Graph((3, 6, 10, 1), nodes)).nodes) == 4
    assert len(rewrite(Graph((3, 6, 9, 1), nodes, frozenset({2}))).nodes) == 4


def test_a_sum_takes_the_place_of_linear_summands_only() -> None:
    def nodes(linear: bool) -> tuple[Node, ...]:
        conv = Node("conv", (0,), 1, CONV, linear)
        return (Node("x", (), 0), conv, Node("add", (0, 1), 2, ADD))

    absorbed = rewrite(Graph((4, 4, 4), nodes(linear=True)))
    assert [(n.name, n.reads, n.writes) for n in absorbed.nodes] == [
        *(("x", (), 0), ("conv", (0,), 2), ("add.0", (0,), 2))
    ]
    for graph in (
        Graph((4, 4, 4), nodes(linear=False)),
        Graph((4, 1, 4), nodes(linear=True)),
        Graph((4, 4, 4), nodes(linear=True), frozenset({1})),
    ):
        assert rewrite(graph) == graph


def test_nonsense_is_refused() -> None:
    a, b = Node("a", (), 0), Node("b", (0,), 1)
    graph = Graph((1, 1), (a, b))
    with pytest.raises(ValueError, match="'b' comes before"):
        Graph((1, 1), (b, a))
    with pytest.raises(ValueError, match="same name"):
        Graph((1, 1), (a, replace(b, name="a")))
    for order in ((1, 0), (0, 0), (0,)):
        with pytest.raises(ValueError, match=r"cannot run|has 1 of 2"):
            graph.peak(order)
    with pytest.raises(ValueError, match="even number"):
        randwire.watts_strogatz(8, 3, 0.5, np.random.default_rng(0))


def test_nothing_at_all() -> None:
    assert schedule(Graph((), ())).order == ()


@pytest.mark.parametrize("nodes", [8, 32, 64])
def test_random_wirings(nodes: int) -> None:
    ring = randwire.watts_strogatz(nodes, 4, 0.0, np.random.default_rng(0))
    assert ring == {
        (min(a, b), max(a, b)) for a in range(nodes) for b in ((a + 1) % nodes, (a + 2) % nodes)
    }
    drawn = [randwire.watts_strogatz(nodes, 4, 0.75, np.random.default_rng(s)) for s in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert all(len(edges) == 2 * nodes for edges in drawn)
    assert randwire.stage(3) == randwire.stage(3) != randwire.stage(4)


@pytest.mark.parametrize("seed", range(10))
def test_an_arena_holds_what_is_alive(seed: int) -> None:
    graph = random_graph(seed, 12)
    found = schedule(graph)
    arena = place(graph, found.order, alignment=1)
    assert arena.bytes >= found.peak
    last = {buffer: step for step, n in enumerate(found.order) for buffer in arena.alive(step)}
    assert all(buffer in arena.offsets for buffer in last)
    for step in range(len(found.order)):
        spans = sorted(
            (arena.offsets[b], arena.offsets[b] + graph.sizes[b]) for b in arena.alive(step)
        )
        assert all(one[1] <= other[0] for one, other in itertools.pairwise(spans))


def test_an_arena_fills_the_first_gap() -> None:
    ops = [
        Op("a", "conv", ("x",), 1, 2),
        Op("b", "conv", ("a",), 1, 2),
        Op("c", "conv", ("b",), 1, 2),
    ]
    graph = graph_of(ops)
    arena = place(graph, (0, 1, 2), alignment=4)
    assert [arena.offsets[node.writes] for node in graph.nodes] == [0, 4, 0]
    assert arena.bytes == 8
    assert place(graph, (0, 1, 2), alignment=64).bytes == 68
