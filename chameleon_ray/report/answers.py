"""What people ask of a report first, answered in a sentence each."""

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from math import ceil, isfinite

from chameleon_ray.measure.ceiling import Ceiling
from chameleon_ray.report.command import going_on, repeating, spent
from chameleon_ray.report.disturbance import disturbance_of
from chameleon_ray.report.format import counted, digits, milliseconds, percent
from chameleon_ray.report.layer_result import LayerResult, total
from chameleon_ray.report.remaining import MINUTES, Searched, judged, told, worth
from chameleon_ray.report.result import UNTUNED, RunResult
from chameleon_ray.report.roofline import reach, whole

Answer = tuple[str, str]
"""A question, and its answer as HTML."""
QUESTION = f"What would {MINUTES} more minutes of search bring?"
FEW = 5
"""Number of layers that are summed up as the largest."""
FAR = 0.5
"""Share of its limit below which a layer is said to be far from it."""
LARGE = 0.02
"""Least share of the model's time of a layer that is worth naming."""
EQUAL = 1.02
"""Ratio of two latencies up to which they count as equal."""
WORTH = 0.01
"""Share of the model's latency that more time must promise, for going on to be suggested."""


def answers(result: RunResult, names: Mapping[str, str]) -> list[Answer]:
    """Returns the questions and their answers.

    Args:
        result: The run.
        names: Short name of each layer, by the digests of its tasks.
    """
    repeat, known = repeating(result), judged(result)
    gain = worth(result, known)
    return [
        ("Which module takes most time?", most(result)),
        ("Is it near the machine's limit?", limit(result, result.ceiling, names)),
        (f"Is it faster than {_others(result)}?", _faster(result)),
        (QUESTION, escape(told(result, known)) or "Not known."),
        ("How do I repeat it?", _repeated(result, repeat)),
        ("What can I do next?", listed(_steps(result, gain))),
    ]


def _repeated(result: RunResult, command: str) -> str:
    if not command:
        return "Not known."
    took = escape(spent(result.records, result.wall_seconds))
    return f"<pre>{command_line(command)}</pre>{took}"


def rendered(found: Sequence[Answer]) -> str:
    """Renders questions with their answers."""
    parts = "".join(
        f'<div><h3>{escape(question)}</h3><div class="answer">{answer}</div></div>'
        for question, answer in found
    )
    return f'<div class="answers">{parts}</div>'


def most(result: Searched) -> str:
    """Answers which layer takes most time, of a run or a zoo, as HTML."""
    rows = by_time(result)
    if not rows:
        return "No layer was timed."
    seconds = total(rows, [row.seconds for row in rows])
    first = rows[0]
    spent = first.task.weight * first.seconds
    share = spent / seconds
    each = f", {first.task.weight:g} times {milliseconds(first.seconds)} ms"
    several = each if first.task.weight != 1 else ""
    text = (
        f"<b>{escape(first.title)}</b>: {percent(share)} of all layers' time "
        f"({milliseconds(spent)} of {milliseconds(seconds)} ms{several})."
    )
    if len(rows) > FEW:
        largest = sum(row.task.weight * row.seconds for row in rows[:FEW])
        text += f" The {FEW} largest of {len(rows)} layers take {percent(largest / seconds)}."
    if missing := _untimed(result):
        text += (
            f" {counted(missing, 'layer')} more had no time to be measured: these may take most."
        )
    return text


def _untimed(result: Searched) -> int:
    """Counts the layers of which nothing has a latency."""
    return sum(not isfinite(row.best) for row in result.layers)


def limit(result: Searched, ceiling: Ceiling | None, names: Mapping[str, str]) -> str:
    """Answers whether the layers are near what the machine can do, of a run or a zoo, as HTML."""
    rows = result.layers
    if missing := _untimed(result):
        return f"Not known: of {len(rows)} layers, {missing} were not timed. Search on."
    share = whole(rows, ceiling)
    if share is None or ceiling is None:
        return "Not known: what the machine can do at most was not measured in this run."
    seconds = total(rows, [row.seconds for row in rows])
    text = (
        f"At the rates that were measured on this machine ({ceiling.flops / 1e9:.0f} GFLOP/s, "
        f"{ceiling.bytes / 1e9:.0f} GB/s), the layers' operations would take {share:.0%} of their "
        "time"
    )
    far = [
        (row, one)
        for row in by_time(result)
        if (one := reach(row, ceiling)) is not None
        and one.share < FAR
        and row.task.weight * row.seconds > LARGE * seconds
    ]
    if not far:
        return f"<b>{_nearness(share)}</b> {text}; no large layer is below {FAR:.0%} of its limit."
    furthest = ", ".join(f"{escape(names[r.task.digest])} ({one.share:.0%})" for r, one in far[:3])
    return f"<b>{_nearness(share)}</b> {text}; furthest from it of the large ones: {furthest}."


def _nearness(share: float) -> str:
    return "Yes." if share >= 0.8 else "Nearly." if share >= 0.6 else "No."


def _others(result: RunResult) -> str:
    """Names what it was compared with."""
    names = [one.name for one in result.comparison if one.name != UNTUNED]
    return " and ".join(names) if 0 < len(names) < 3 else "what I would run instead"


def _faster(result: RunResult) -> str:
    tuned = result.tuned
    if tuned is None:
        return "The tuned model was not timed as a whole."
    parts = [
        f"{_ratio(one.latency.seconds / tuned.seconds)} {escape(one.name)} "
        f"({milliseconds(one.latency.seconds)} ms)"
        for one in result.comparison
        if one.latency is not None
    ]
    faults = [
        f" {escape(one.name)}: {escape(one.fault)}." for one in result.comparison if one.fault
    ]
    if not parts:
        return f"Nothing else was timed beside it in this run.{''.join(faults)}"
    least = min(one.latency.seconds for one in result.comparison if one.latency is not None)
    said = verdict(least / tuned.seconds)
    return f"<b>{said}</b> It is {', '.join(parts)}.{''.join(faults)}"


def verdict(ratio: float) -> str:
    """Says whether it is faster than the fastest other, which takes so many times as long."""
    if 1 / EQUAL < ratio < EQUAL:
        return "As fast."
    return "Yes." if ratio > 1 else "No."


def _ratio(ratio: float) -> str:
    if 1 / EQUAL < ratio < EQUAL:
        return "as fast as"
    if ratio > 1:
        return f"{digits(ratio)} times as fast as"
    return f"{digits(1 / ratio)} times as slow as"


def _steps(result: RunResult, gain: float) -> Iterator[str]:
    """Yields what to do next, the most useful first; ``gain`` is what more time is worth."""
    if result.tuned is None:
        yield f"Finish the run: {command_line(going_on(result, MINUTES))}"
        return
    missing = sum(not row.measurements and not row.known for row in _tunable(result))
    if missing or gain > WORTH * result.tuned.seconds:
        minutes = max(MINUTES, ceil(MINUTES * missing / 10))
        why = f"about {milliseconds(gain)} ms to gain in {MINUTES} minutes of search"
        why = f"{counted(missing, 'layer')} never reached" if missing else why
        yield f"Search on ({why}): {command_line(going_on(result, minutes))}"
    if said := disturbance_of(result).sentence:
        yield escape(said)
    if result.verified is not None and result.verified.outcome == "verified":
        export = command_line(shlex.join(("chameleon", "export", str(result.folder), "DIR")))
        yield f'<a href="#loading">Load it</a>, or put it on a server: {export}'
    again = shlex.join(("chameleon", "bench", str(result.folder)))
    yield f"Time it again: {command_line(again)}"


def _tunable(result: RunResult) -> list[LayerResult]:
    return [row for row in result.layers if row.task.space.knobs]


def by_time(result: Searched) -> list[LayerResult]:
    """Returns the layers that were timed, those that take most of all time first."""
    known = [row for row in result.layers if isfinite(row.best)]
    return sorted(known, key=lambda row: -row.task.weight * row.seconds)


def command_line(text: str) -> str:
    """Renders a command, which is broken between words, unless one is longer than the page."""
    words = " ".join(f"<span>{escape(word)}</span>" for word in text.split(" "))
    return f"<code>{words}</code>"


def listed(items: Iterable[str]) -> str:
    return f"<ul>{''.join(f'<li>{item}</li>' for item in items)}</ul>"
