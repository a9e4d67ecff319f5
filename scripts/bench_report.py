"""Shows the benchmark's figures as tables, for the terminal and for Markdown."""

from collections.abc import Iterator, Mapping, Sequence

from bench_figures import CLAIMED_STEPS, GIVEN
from rich.table import Table

from chameleon_ray.report.format import UNKNOWN, digits, percent

GROUPS = {"convolution": "Convolution tables", "all": "All tables"}


def tables(body: dict) -> Iterator[Table]:
    """What the terminal shows: averages, every recorded table, search steps."""
    yield from (grid(*part) for part in groups(body))
    yield from (
        grid(name, *on_one(body["systems"], name, body["marks"])) for name in body["tables"]
    )
    yield from (grid(*part) for part in walked(body))


def markdown(body: dict) -> str:
    """The averages and the search steps as Markdown tables."""
    return "\n\n".join(piped(*part) for part in (*groups(body), *walked(body)))


Rows = tuple[list[str], list[list[str]]]


def groups(body: dict) -> Iterator[tuple[str, list[str], list[list[str]]]]:
    """Title, column titles and rows of the averages over each group of tables."""
    systems = body["systems"]
    for name, title in GROUPS.items():
        if all(name in entry for entry in systems.values()):
            yield title, *averages(systems, name, body["marks"])


def walked(body: dict) -> Iterator[tuple[str, list[str], list[list[str]]]]:
    """The same of the search steps, where there is ``sa`` to compare with."""
    systems = body["systems"]
    for name, title in GROUPS.items():
        if all(name in entry.get("steps", {}) for entry in systems.values()):
            yield f"{title}: search steps (cost-model queries)", *steps(systems, name)


def averages(systems: Mapping[str, dict], group: str, marks: Sequence[str]) -> Rows:
    """A row per system, then what was given of Kernel Tuner."""
    titles = ["system", *(f"after {mark}" for mark in marks), "to 95%", "seconds", "reached"]
    titles += ["autotvm's", "failed", "CPU ms"]
    rows = []
    for system, entry in systems.items():
        seen = entry[group]
        ratio = seen["baseline_to_this"]
        row = [system, *(spread(seen, mark) for mark in marks)]
        row += [digits(seen["measurements_to_95"]), digits(seen["seconds_to_95"])]
        row += [f"{seen['reached_95']} of {seen['runs']}"]
        row += [UNKNOWN if ratio is None else f"{ratio:.2f}x", percent(seen["failed_share"])]
        rows.append([*row, digits(1e3 * seen["search_seconds_per_measurement"])])
    return titles, rows + given(group, marks, len(titles))


def on_one(systems: Mapping[str, dict], table: str, marks: Sequence[str]) -> Rows:
    titles = ["system", *(f"after {mark}" for mark in marks), "to 95%", "seconds", "reached"]
    rows = []
    for system, entry in systems.items():
        seen = entry["tables"][table]
        row = [system, *(spread(seen, mark) for mark in marks)]
        reached = f"{seen['reached_95']} of {seen['runs']}"
        row += [digits(seen["measurements_to_95"]), digits(seen["seconds_to_95"])]
        rows.append([*row, reached])
    return titles, rows + given(table, marks, len(titles))


def given(name: str, marks: Sequence[str], columns: int) -> list[list[str]]:
    """Rows of figures that were not measured here, for tables whose names begin alike."""
    rows = []
    for kind, strategies in GIVEN["fraction_of_optimum"].items():
        for strategy, shares in strategies.items() if name.startswith(kind) else ():
            row = [f"Kernel Tuner, {strategy} (given)"]
            row += [percent(shares[mark]) if mark in shares else UNKNOWN for mark in marks]
            rows.append(row + [UNKNOWN] * (columns - len(row)))
    return rows


def steps(systems: Mapping[str, dict], group: str) -> Rows:
    """Queries in a plan, and until the best is as good as ``sa``'s at its end; where it ever is."""
    titles = ["system", "per plan", "sa's are", "to sa's end", "sa's are", "tables there"]
    rows = []
    for system, entry in systems.items():
        taken = entry["steps"][group]
        row = [system]
        for name in ("queries_per_plan", "queries_to_goal"):
            ratio = taken[f"sa_{name}_to_this"]
            row += [digits(taken[name]), UNKNOWN if ratio is None else f"{ratio:.2f}x"]
        rows.append([*row, f"{taken['reached']} of {taken['tables']}"])
    claim = f"{CLAIMED_STEPS:.2f}x"
    rows.append(["rl, according to the paper (given)", UNKNOWN, claim, *[UNKNOWN] * 3])
    return titles, rows


def spread(seen: dict, mark: str) -> str:
    """A mean and its standard deviation over the seeds; a dash where runs are shorter."""
    if mark not in seen["spread"]:
        return UNKNOWN
    return f"{percent(seen['fraction_of_optimum'][mark])} ± {100 * seen['spread'][mark]:.1f}"


def grid(title: str, titles: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for number, name in enumerate(titles):
        table.add_column(name, justify="right" if number else "left", no_wrap=number > 0)
    for row in rows:
        table.add_row(*row, style="dim" if "(given)" in row[0] else "")
    return table


def piped(title: str, titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [titles, ["---", *["---:"] * (len(titles) - 1)], *rows]
    return f"{title}\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines)
