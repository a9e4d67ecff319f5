"""Draws the benchmark's mean curves over the seeds, with their spread, as SVG files."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from bench_figures import Found, fractions
from bench_systems import ABLATION, PARTS
from matplotlib.figure import Figure

from chameleon_ray.presets import PRESETS

POINTS = 40
"""Of a curve; files stay small."""
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "chameleon",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "font.size": 9,
    "legend.fontsize": 8,
}
Curves = Mapping[str, tuple[np.ndarray, np.ndarray]]
"""``(measurements,)`` mean and standard deviation of the fraction of the optimum, by system."""


def draw(found: Found, folder: Path) -> list[Path]:
    """A file per table with the presets, and one for the ablation over all tables."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for table in next(iter(found.values())):
        presets = {name: band(found[name][table]) for name in PRESETS if name in found}
        panels = {f"{table}: mean and standard deviation over seeds": presets}
        written += save(panels, folder / f"{table.replace(':', '_')}.svg")
    panels = {
        "Exploration and sampling": over_tables(found, list(ABLATION)),
        "Parts of chameleon": over_tables(found, ["chameleon", *PARTS]),
    }
    return written + save(panels, folder / "ablation.svg")


def band(seeds: Sequence[dict]) -> tuple[np.ndarray, np.ndarray]:
    """Of one table; every run of it has as many measurements."""
    curves = np.array([fractions(seed) for seed in seeds])
    return curves.mean(axis=0), curves.std(axis=0)


def over_tables(found: Found, systems: Sequence[str]) -> Curves:
    """Means over tables of the tables' means and deviations, as far as all tables go."""
    curves = {}
    for system in systems:
        if system in found:
            bands = [band(seeds) for seeds in found[system].values()]
            shortest = min(len(mean) for mean, _ in bands)
            cut = np.array([[part[:shortest] for part in both] for both in bands])
            curves[system] = tuple(cut.mean(axis=0))
    return curves


def save(panels: Mapping[str, Curves], path: Path) -> list[Path]:
    """One panel beside the other; nothing where there is no curve."""
    panels = {title: curves for title, curves in panels.items() if curves}
    if not panels:
        return []
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(5.6 * len(panels), 3.4), layout="constrained")
        for axes, (title, curves) in zip(
            figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True
        ):
            for system, (mean, spread) in curves.items():
                at = np.unique(np.linspace(0, len(mean) - 1, POINTS).round().astype(int))
                (line,) = axes.plot(at + 1, mean[at], label=system, linewidth=1.5)
                low, high = mean[at] - spread[at], np.minimum(mean[at] + spread[at], 1)
                axes.fill_between(at + 1, low, high, color=line.get_color(), alpha=0.1, lw=0)
            axes.set(title=title, xlabel="measurements", ylabel="fraction of the optimum")
            axes.set(xlim=(0, None), ylim=(0, 1.02))
            axes.legend(loc="lower right", frameon=False)
        figure.savefig(path, format="svg", metadata={"Date": None})
    path.write_text(shorter(path.read_text()))
    return [path]


def shorter(svg: str) -> str:
    """Coordinates of paths with one decimal, which is a seventieth of an inch."""
    return re.sub(
        r' d="[^"]*"', lambda path: re.sub(r"(\.\d)\d+", r"\1", path[0]).replace("\n", ""), svg
    )
