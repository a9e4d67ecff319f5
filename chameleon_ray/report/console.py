"""The message at the end of a run, with what people want to know at once."""

import textwrap
from collections import Counter
from math import isfinite

from rich.console import Group, RenderableType
from rich.text import Text

from chameleon_ray.measure.cores import available
from chameleon_ray.record import own
from chameleon_ray.report.disturbance import disturbance_of
from chameleon_ray.report.explanation import explain
from chameleon_ray.report.format import clock, counted
from chameleon_ray.report.headline import headline_of
from chameleon_ray.report.launching import sentence
from chameleon_ray.report.loading import MODEL, needs, snippet, threads_of
from chameleon_ray.report.remaining import told
from chameleon_ray.report.result import RunResult, Verified
from chameleon_ray.search.exhaustive import SCORED_WHOLE
from chameleon_ray.tuner import FIRST_PLANS, NOTHING, STORED


def final_message(result: RunResult) -> RenderableType:
    """Returns the message: latencies, verification, files, and how to load the model."""
    head = headline_of(result)
    style = "bold green" if head.fastest else "bold yellow"
    parts: list[RenderableType] = [Text.assemble("\n", (head.text, style))]
    parts += [Text(" ".join(head.notes)), Text(_work(result))]
    if result.verified is not None:
        parts.append(_verdict(result.verified))
    if result.launching is not None:
        parts.append(Text(sentence(result.launching)))
    searches = result.settings.get("explorer") and not result.settings.get("locked")
    if searches and not result.walked:
        parts.append(Text(f"The explorer {result.explorer} never ran: {_searched(result)}."))
    reason = explain(result)
    if reason:
        parts.append(Text(reason, "yellow"))
    if remaining := told(result):
        parts.append(Text(remaining))
    if disturbed := disturbance_of(result).sentence:
        parts.append(Text(disturbed, "yellow"))
    if result.tuned is not None:
        parts += [Text(need) for need in needs(result.libraries, result.versions)]
    parts.append(Text(_files(result)))
    if result.tuned is not None:
        code = textwrap.indent(snippet(result), "  ")
        parts += [Text("To load it:"), Text(code, "dim", no_wrap=True, overflow="ignore")]
    return Group(*parts)


def _work(result: RunResult) -> str:
    rows = result.layers
    if not any(task.space.knobs for task in result.tasks):
        return "Nothing to tune: no layer of the model has a choice of schedules."
    faster = sum((row.speedup or 0) > 1 for row in rows)
    kept = sum(row.kept_default for row in rows)
    failed = sum(row.failed for row in rows)
    sentence = (
        f"{counted(len(own(result.records)), 'measurement')} ({failed} failed) in "
        f"{clock(result.wall_seconds)}; {faster} of {counted(len(rows), 'layer')} faster, "
        f"{kept} kept at the default"
    )
    never = [row.kept_default for row in rows if not isfinite(row.best)]
    if never:
        among = " of them" if all(never) else ""
        sentence += f", {len(never)}{among} never timed"
    if stored := sum(row.from_store for row in rows):
        sentence += f", {stored} known from the store"
    for library in result.libraries:
        sentence += f", {sum(row.library == library for row in rows)} won by {library}"
    return sentence + "." + _threads(result)


def _searched(result: RunResult) -> str:
    """Tells what searched the layers in the explorer's place."""
    found = Counter(row.searched for row in result.layers)
    parts = {
        SCORED_WHOLE: "{} scored whole, as spaces are small",
        FIRST_PLANS: "{} with first plans only",
        NOTHING: "{} with nothing to choose from",
        STORED: "{} known from earlier runs",
    }
    said = [text.format(counted(found[by], "layer")) for by, text in parts.items() if found[by]]
    return ", ".join(said)


def _threads(result: RunResult) -> str:
    """Tells for how many copies the result is, or threads, where the machine has more cores."""
    threads, cores = threads_of(result.target), len(available())
    if (copies := result.settings.get("instances", 1)) != 1:
        return f" Tuned for {copies} copies that run at once, with {threads} of {cores} cores each."
    if threads is None or threads >= cores:
        return ""
    return f" Tuned for {threads} of {cores} cores; --threads all tunes for all of them."


def _verdict(verified: Verified) -> Text:
    errors = verified.errors
    if verified.outcome == "verified":
        return Text(f"Verified: same outputs as {verified.against} ({errors}).", "green")
    if verified.outcome == "unverified":
        return Text(f"Not verified: compared with {verified.against} only ({errors}).", "yellow")
    return Text(
        f"NOT verified: outputs differ from those of {verified.against} ({errors}); "
        f"{verified.fault}.",
        "bold red",
    )


def _files(result: RunResult) -> str:
    names = ([MODEL] if result.tuned is not None else []) + ["report.html", "summary.json"]
    return "Files: " + ", ".join(str(result.folder / name) for name in names)
