"""Shows a model's footprint: figures as JSON data, a table, and live memory over time."""

import itertools
from collections.abc import Iterator, Sequence
from math import ceil

from rich.table import Table

from chameleon_ray.graph.footprint import MODEL_ORDER, REWRITTEN, SCHEDULED, Footprint
from chameleon_ray.report.format import counted, digits, times

TITLES = {
    MODEL_ORDER: "in the model's order",
    SCHEDULED: "after scheduling",
    REWRITTEN: "after rewriting",
}
HEIGHT, WIDTH = 6, 72
"""Most lines and columns of a picture."""
BLOCKS = " ▁▂▃▄▅▆▇█"


def figures(footprint: Footprint) -> dict:
    """Returns the figures as strict JSON data; docs/how/memory.md describes them."""
    stages = footprint.stages
    final = stages[REWRITTEN]
    return {
        "model": footprint.model,
        "peak_bytes": {name: stage.peak for name, stage in stages.items()},
        "planned_bytes": {name: stage.planned for name, stage in stages.items()},
        "chosen": footprint.chosen,
        "nodes": len(final.order),
        "seconds": footprint.seconds,
        "optimal": stages[SCHEDULED].optimal and final.optimal,
        "order": list(final.order),
        "levels": {name: list(stage.levels) for name, stage in stages.items()},
    }


def shown(footprint: Footprint, width: int = WIDTH) -> Iterator[Table | str]:
    """Yields the table and the pictures that the command prints."""
    stages = footprint.stages
    first, highest = stages[MODEL_ORDER], max(stage.peak for stage in stages.values())
    table = Table(box=None, pad_edge=False)
    for title in ("", "peak KB", "", "planned KB", "", "operations"):
        table.add_column(title, justify="right" if title else "left")
    for name, stage in stages.items():
        table.add_row(
            TITLES[name],
            digits(stage.peak / 1e3),
            "" if stage is first else _less(first.peak, stage.peak),
            digits(stage.planned / 1e3),
            "" if stage is first else _less(first.planned, stage.planned),
            str(len(stage.order)),
        )
    yield table
    for name, stage in stages.items():
        steps = counted(len(stage.levels), "operation")
        yield f"\nLive memory {TITLES[name]}, {steps}, peak {digits(stage.peak / 1e3)} KB"
        yield picture(stage.levels, highest, min(width, WIDTH))
    proof = "" if figures(footprint)["optimal"] else ", which may not be the best ones"
    yield f"\nFound the orders in {digits(footprint.seconds)} s{proof}."


def _less(before: int, after: int) -> str:
    """Tells how many times less, or more, it is; empty where there is nothing to compare."""
    if not before or not after:
        return ""
    return f"{times(before / after)} less" if after <= before else f"{times(after / before)} more"


def picture(levels: Sequence[int], highest: int, width: int = WIDTH) -> str:
    """Draws the level over time as bars; where steps outnumber columns, each column's highest."""
    columns = min(len(levels), width)
    edges = [number * len(levels) // columns for number in range(columns + 1)] if columns else []
    spans = itertools.pairwise(edges)
    each = max(1, width // columns) if columns else 1
    eighths = [ceil(8 * HEIGHT * max(levels[a:b]) / max(highest, 1)) for a, b in spans]
    rows = [
        "".join(BLOCKS[min(max(bar - 8 * row, 0), 8)] * each for bar in eighths).rstrip()
        for row in reversed(range(HEIGHT))
    ]
    return "\n".join(rows)
