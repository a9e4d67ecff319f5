"""Figures of the insides of the search: where candidates lay, what matters, what was foretold.

The reader chooses the layer; all three show the same one.
"""

from collections.abc import Mapping

from chameleon_ray.report.figure import Columns, Figure, Mark, View
from chameleon_ray.report.knobs import Knobs

GROUP = "search"
SYMBOLS = {"synthesised": "diamond2", "random": "times", "other layers": "triangle"}
"""Symbols of what chose a configuration; all else is a dot."""
HEIGHT = 320


def knob_figures(known: Mapping[str, Knobs]) -> list[Figure]:
    """Declares the figures, each with a view per layer.

    Args:
        known: What the measurements of each layer say, by its name; at least one.
    """
    return [_map(known), _importance(known), _foretold(known)]


def _map(known: Mapping[str, Knobs]) -> Figure:
    told = (
        "Each mark is a measured configuration, placed by the two directions in which the measured "
        "ones differ most; the stronger its colour, the faster. Crosses were drawn at random, "
        "diamonds synthesised, triangles chosen by what other layers had taught; dots stand for "
        "a cluster of the explorer's candidates, or come from records that do not say. The ring "
        "is the fastest."
    )
    views = [View(name, _places(one), _map_axes(one)) for name, one in known.items()]
    return Figure("map", "Where candidates lay", told, tuple(views), group=GROUP)


def _places(one: Knobs) -> tuple[Mark, ...]:
    columns: Columns = {
        "first component": one.places[:, 0].tolist(),
        "second component": one.places[:, 1].tolist(),
        "ms": one.latencies.tolist(),
        "fitness": one.fitness.tolist(),
        "chosen by": list(one.chosen_by),
    }
    at = {"x": "first component", "y": "second component"}
    shown = {"ms": "ms", "chosen by": "chosen by", "fitness": "fitness"}
    dot = {"r": 4, "symbol": "chosen by", "stroke": "var(--best)", "fill": "var(--best)"}
    dot |= {"strokeWidth": 1.5}
    shade = {"fillOpacity": "fitness", "strokeOpacity": "fitness", "channels": shown, "tip": True}
    best = int(one.fitness.argmax())
    ring: Columns = {name: [values[best]] for name, values in columns.items()}
    circle = {"r": 8, "stroke": "var(--s1)", "strokeWidth": 2, "fill": "none"}
    return Mark("dot", columns, at | dot | shade), Mark("dot", ring, at | circle)


def _map_axes(one: Knobs) -> dict[str, object]:
    names = list(dict.fromkeys(one.chosen_by))
    symbols = {"domain": names, "range": [SYMBOLS.get(name, "circle") for name in names]}
    first, second = one.spread
    return {
        "height": HEIGHT,
        "x": {"label": f"first component ({first:.0%} of the variance)", "ticks": []},
        "y": {"label": f"second component ({second:.0%})", "ticks": []},
        "opacity": {"domain": [0, 1], "range": [0.12, 1]},
        "symbol": symbols,
        "inset": 12,
        "marginLeft": 16,
    }


def _importance(known: Mapping[str, Knobs]) -> Figure:
    views = []
    for name, one in known.items():
        bars: Columns = {
            "knob": list(one.importance),
            "share, %": [100 * share for share in one.importance.values()],
        }
        bar = {"x": "share, %", "y": "knob", "fill": "var(--best)", "tip": True}
        axes = {
            "height": 50 + 26 * len(one.importance),
            "marginLeft": 110,
            "x": {"label": "share, %", "grid": True, "domain": [0, 100]},
            "y": {"label": None, "domain": list(one.importance)},
        }
        views.append(View(name, (Mark("barX", bars, bar),), axes))
    told = (
        "How much of the speed hangs on each knob: what boosted trees, fitted to all measurements "
        "of the layer, lose where the knob's choices are shuffled, as a share of the sum."
    )
    return Figure("importance", "Which knobs matter", told, tuple(views), group=GROUP)


def _foretold(known: Mapping[str, Knobs]) -> Figure:
    views = []
    for name, one in known.items():
        columns: Columns = {
            "foretold": one.foretold.tolist(),
            "measured": one.fitness.tolist(),
            "ms": one.latencies.tolist(),
        }
        diagonal: Columns = {"foretold": [0, 1], "measured": [0, 1]}
        at = {"x": "foretold", "y": "measured"}
        dots = at | {"r": 3, "fill": "var(--best)", "fillOpacity": 0.6, "tip": True}
        line = at | {"stroke": "var(--soft)", "strokeDasharray": "3 3"}
        points = Mark("dot", columns, dots | {"channels": {"ms": "ms"}})
        marks = (points, Mark("line", diagonal, line))
        axes = {
            "height": HEIGHT,
            "x": {"label": "foretold speed, over the best", "domain": [0, 1.03], "grid": True},
            "y": {"label": "measured speed, over the best", "domain": [0, 1.03], "grid": True},
        }
        views.append(View(name, marks, axes))
    told = (
        "Speed of each configuration over the layer's fastest, as boosted trees foretell it that "
        "were fitted without it, and as it was measured. On the dashed line the two are equal; "
        "failures are at 0."
    )
    return Figure("foretold", "Foretold and measured", told, tuple(views), group=GROUP)
