"""Averages the benchmark's per-seed figures of every system on every table.

``Found`` is what ``chameleon_ray.report.replay.figures`` says of one seed, with ``plans`` (the plan
of every measurement) and ``queries`` (configurations scored, plan by plan), by system and table.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

Found = Mapping[str, Mapping[str, Sequence[dict]]]

GOAL = "0.95"
BASELINE = "autotvm"
STEPS_OF = "sa"
CLAIMED_STEPS = 2.88
"""How many times fewer search steps RL takes than SA, according to Chameleon's section 5.2."""
GIVEN: dict = {
    "source": "Ten search strategies of Kernel Tuner on tables of the FAIR benchmark hub, six of "
    "them convolutions; run in its own simulation mode, not measured here",
    "fraction_of_optimum": {
        "convolution": {
            "best strategy of six tables": {"100": 0.82, "200": 0.89},
            "best strategy of each of six tables": {"100": 0.84, "200": 0.91},
        },
        "dedispersion": {"dedispersion": {"100": 0.987, "200": 0.998}},
    },
}
"""By the beginning of the tables' names."""


def summary(found: Found) -> dict:
    """Per system: figures of every table, their averages, and the search steps against ``sa``."""
    tables = list(next(iter(found.values())))
    convolutions = [table for table in tables if table.startswith("convolution")]
    groups = ({"convolution": convolutions} if convolutions else {}) | {"all": tables}
    body: dict = {}
    for system, runs in found.items():
        single = {table: on_table(seeds) for table, seeds in runs.items()}
        body[system] = {
            "tables": single,
            **{name: average([single[t] for t in group]) for name, group in groups.items()},
        }
    for entry in body.values():
        for name in groups:
            entry[name]["baseline_to_this"] = baseline_ratio(body, entry, name)
    if STEPS_OF in found:
        goals = {t: mean_curve(found[STEPS_OF][t])[-1] for t in tables}
        reference = {t: steps(found[STEPS_OF][t], goals[t]) for t in tables}
        for system, runs in found.items():
            taken = {t: steps(runs[t], goals[t]) for t in tables}
            body[system]["steps"] = {"tables": taken} | {
                name: average_steps([taken[t] for t in group], [reference[t] for t in group])
                for name, group in groups.items()
            }
    return body


def on_table(seeds: Sequence[dict]) -> dict:
    """One system on one table: means and standard deviations over the seeds."""
    firsts = np.array([seed["measurements_to"][GOAL] for seed in seeds])
    marks = [m for m, share in seeds[0]["fraction_of_optimum"].items() if share is not None]
    shares = {m: np.array([seed["fraction_of_optimum"][m] for seed in seeds]) for m in marks}
    return {
        "runs": len(seeds),
        "fraction_of_optimum": {mark: float(share.mean()) for mark, share in shares.items()},
        "spread": {mark: float(share.std()) for mark, share in shares.items()},
        "measurements_to_95": float(np.exp(np.log(firsts).mean())),
        "seconds_to_95": geometric(seconds_to(seed, GOAL) for seed in seeds),
        "reached_95": sum(seed["reached"][GOAL] for seed in seeds),
        "failed_share": mean(seeds, "failed_share"),
        "search_seconds_per_measurement": mean(seeds, "search_seconds_per_measurement"),
    }


def seconds_to(seed: dict, goal: str) -> float:
    """Seconds until one search has a share of the optimum's speed, its measurements' included.

    The search's are CPU seconds here; a measurement's are those of builds and runs when recorded.
    """
    each = seed["search_seconds_per_measurement"] + seed["recorded_seconds"] / len(seed["plans"])
    return float(each * seed["measurements_to"][goal])


def average(tables: Sequence[dict]) -> dict:
    """Over tables, each of the same weight; measurements to the goal by the geometric mean."""
    marks = [m for m in tables[0]["spread"] if all(m in table["spread"] for table in tables)]
    return {
        "tables": len(tables),
        "runs": sum(table["runs"] for table in tables),
        **{
            name: {mark: float(np.mean([table[name][mark] for table in tables])) for mark in marks}
            for name in ("fraction_of_optimum", "spread")
        },
        "measurements_to_95": geometric(table["measurements_to_95"] for table in tables),
        "seconds_to_95": geometric(table["seconds_to_95"] for table in tables),
        "reached_95": sum(table["reached_95"] for table in tables),
        "failed_share": mean(tables, "failed_share"),
        "search_seconds_per_measurement": mean(tables, "search_seconds_per_measurement"),
    }


def baseline_ratio(body: Mapping[str, dict], entry: dict, group: str) -> float | None:
    """Measurements to the goal that AutoTVM's system takes, over this one's."""
    if BASELINE not in body:
        return None
    return body[BASELINE][group]["measurements_to_95"] / entry[group]["measurements_to_95"]


def steps(seeds: Sequence[dict], goal: float) -> dict:
    """Cost-model queries of one system on one table, means over the seeds.

    Args:
        seeds: Of the system.
        goal: Fraction of the optimum; the queries are counted until the mean over the seeds is
            there. None where it never is.
    """
    there = np.flatnonzero(mean_curve(seeds) >= goal - 1e-12)
    plans = [count for seed in seeds for count in seed["queries"]]
    spent = [queries_until(seed, there[0]) for seed in seeds] if len(there) else None
    return {
        "goal": float(goal),
        "queries_per_plan": float(np.mean(plans)) if plans else 0.0,
        "measurements_to_goal": int(there[0]) + 1 if len(there) else None,
        "queries_to_goal": float(np.mean(spent)) if spent else None,
    }


def average_steps(tables: Sequence[dict], reference: Sequence[dict]) -> dict:
    """Over tables: geometric means of queries, and of how many times more of them ``sa`` makes.

    Only tables where the goal is reached count for the queries until then.
    """
    body: dict = {"tables": len(tables)}
    for name in ("queries_per_plan", "queries_to_goal"):
        pairs = [(t[name], r[name]) for t, r in zip(tables, reference, strict=True)]
        pairs = [(this, base) for this, base in pairs if this and base]
        body[name] = geometric(this for this, _ in pairs) if pairs else None
        body[f"sa_{name}_to_this"] = (
            geometric(base / this for this, base in pairs) if pairs else None
        )
    return body | {"reached": sum(t["queries_to_goal"] is not None for t in tables)}


def fractions(seed: dict) -> np.ndarray:
    """``(measurements,)`` the optimum over the best latency so far; 0 before a success."""
    (curve,) = seed["curves"]
    return np.array([0.0 if best is None else seed["optimum"] / best for best in curve])


def mean_curve(seeds: Sequence[dict]) -> np.ndarray:
    """``(measurements,)`` fractions of the optimum, mean over the seeds."""
    return np.mean([fractions(seed) for seed in seeds], axis=0)


def queries_until(seed: dict, measurement: int) -> int:
    """Configurations scored until a measurement was chosen; the first plans explore nothing."""
    plans, queries = seed["plans"], seed["queries"]
    random = max(plans) + 1 - len(queries)
    return sum(queries[: max(0, plans[measurement] + 1 - random)])


def mean(bodies: Sequence[dict], name: str) -> float:
    return float(np.mean([body[name] for body in bodies]))


def geometric(values: Iterable[float]) -> float:
    return float(np.exp(np.log(np.fromiter(values, dtype=float)).mean()))
