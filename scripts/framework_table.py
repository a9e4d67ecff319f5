"""The comparison with other frameworks as tables: models, and means over the models."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import geometric_mean
from typing import Any

from bench_contestants import RUNTIMES

OURS = "this engine"
RIVALS = [name for name in RUNTIMES if name != OURS]
LISTING = Path("/proc/cpuinfo")
"""Where Linux says which CPU it runs on."""


def cpu(target: Mapping[str, Any]) -> dict[str, str]:
    """Names the CPU at hand, LLVM's name of the one compiled for, and the vectors that it has."""
    import tvm
    from tvm.target.codegen import target_has_features

    made = tvm.target.Target(dict(target))
    found = [name for name, feature in VECTORS if target_has_features(feature, made)]
    lines = LISTING.read_text().splitlines() if LISTING.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "name": names[0] if names else "unknown",
        "mcpu": str(target.get("mcpu", "generic")),
        "vectors": found[0] if found else "no AVX2",
    }


VECTORS = (("AVX-512", "avx512f"), ("AVX2", "avx2"))
"""Vectors of x86, the longest first, and LLVM's names of the features."""


def table(bodies: Sequence[Mapping]) -> str:
    """A row per model in Markdown: latencies in ms, then this engine's over each other one's."""
    titles = ["model", "threads", "CPU", *(f"{name}, ms" for name in RUNTIMES)]
    titles += [f"over {name}" for name in RIVALS]
    rows = [titles, ["---", "---:", "---"] + ["---:"] * (len(titles) - 3)]
    for body in bodies:
        here = body["cpu"]
        cells = [body["model"], str(body["threads"])]
        cells.append(f"{here['name']} ({here['mcpu']}, {here['vectors']})")
        cells += [shown(body["latency_ms"].get(name), 2) for name in RUNTIMES]
        rows.append(cells + [shown(body["ratio"].get(name), 2) for name in RIVALS])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def shown(found: Mapping[str, float] | None, digits: int) -> str:
    """A median with its spread; a dash where there is none."""
    if found is None:
        return "-"
    return f"{found['median']:.{digits}f} ± {found['spread']:.{digits}f}"


def means(bodies: Sequence[Mapping]) -> str:
    """Per number of threads, geometric means over the models, in Markdown.

    They are of this engine's latency over each other one's, where all models have it, and over
    that of the best other one of each model.
    """
    titles = ["threads", "models", *(f"over {name}" for name in RIVALS), "over the best of them"]
    rows = [titles, ["---:"] * len(titles)]
    for threads in sorted({body["threads"] for body in bodies}):
        some = [body for body in bodies if body["threads"] == threads and body["ratio"]]
        if not some:
            continue
        cells = [str(threads), str(len(some))]
        for name in RIVALS:
            ratios = [body["ratio"][name]["median"] for body in some if name in body["ratio"]]
            cells.append(f"{geometric_mean(ratios):.2f}" if len(ratios) == len(some) else "-")
        best = geometric_mean(over_best(body)["median"] for body in some)
        rows.append([*cells, f"{best:.2f}"])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def over_best(body: Mapping) -> Mapping[str, float]:
    """The ratio to the other runtime that had the least median latency."""
    best = min(body["ratio"], key=lambda name: body["latency_ms"][name]["median"])
    found: Mapping[str, float] = body["ratio"][best]
    return found
