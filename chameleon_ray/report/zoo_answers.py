"""What people ask of a zoo first, answered in a sentence or two each; its models have reports."""

from collections.abc import Iterator
from html import escape

from chameleon_ray.layer_names import short_names
from chameleon_ray.report.answers import (
    QUESTION,
    Answer,
    command_line,
    limit,
    listed,
    most,
    verdict,
)
from chameleon_ray.report.command import going_on_with_zoo, repeating_zoo, spent
from chameleon_ray.report.disturbance import disturbance_of
from chameleon_ray.report.format import counted, milliseconds, times
from chameleon_ray.report.remaining import MINUTES, judged, told, worth
from chameleon_ray.report.result import UNTUNED, RunResult
from chameleon_ray.report.zoo import ZooResult
from chameleon_ray.report.zoo_comparison import Mean, left_out, means, over
from chameleon_ray.reporting import Reporting


def zoo_answers(result: ZooResult) -> list[Answer]:
    """Returns the questions and their answers, which are HTML."""
    shorts = short_names(result.tasks, Reporting.name_width)
    names = {task.digest: shorts[task.layer] for task in result.tasks}
    known = judged(result)
    return [
        ("Which module takes most time?", f"{most(result)}{_weighted(result)}"),
        ("Is it near the machine's limit?", limit(result, result.ceiling, names)),
        (f"Is it faster than {_others(result)}?", _faster(result)),
        (QUESTION, escape(told(result, known)) or "Not known."),
        ("How do I repeat it?", _repeated(result)),
        ("What can I do next?", listed(_steps(result, worth(result, known)))),
    ]


def _repeated(result: ZooResult) -> str:
    took = escape(spent(result.records, result.wall_seconds))
    return f"<pre>{command_line(repeating_zoo(result.request))}</pre>{took}"


def _weighted(result: ZooResult) -> str:
    """Says how models count where they do not all count the same."""
    differing = len({entry.weight for entry in result.entries}) > 1
    return " Each model's time counts by its weight." if differing else ""


def _others(result: ZooResult) -> str:
    """Names what the models were to be compared with."""
    results = [entry.result for entry in result.entries if entry.result]
    names = dict.fromkeys(one.name for done in results for one in done.comparison)
    return " and ".join(names) if 0 < len(names) < 3 else "what I would run instead"


def _faster(result: ZooResult) -> str:
    results = [entry.result for entry in result.entries]
    others = [mean for mean in means(results) if mean.other != UNTUNED]
    faults = " ".join(left_out(result.faults))
    if not others:
        return f"Nothing else was timed beside the models in this run. {escape(faults)}"
    least = min(one.times for one in others)
    parts = "; ".join(_mean(one, results) for one in others)
    return f"<b>{verdict(least)}</b> Geometric means: {parts}. {escape(faults)}"


def _mean(mean: Mean, results: list[RunResult | None]) -> str:
    known = [one for one in results if one is not None]
    faster = sum(ratio > 1 for ratio in over(mean.other, known))
    return (
        f"{times(mean.times)} as fast as {escape(mean.other)}, faster in {faster} of "
        f"{counted(mean.models, 'model')}"
    )


def _steps(result: ZooResult, gain: float) -> Iterator[str]:
    """Yields what to do next, the most useful first; ``gain`` is what more time is worth."""
    if said := disturbance_of(result).sentence:
        yield escape(said)
    about = (result.request, result.folder, result.records, result.wall_seconds)
    ahead = f" (about {milliseconds(gain)} ms to gain in {MINUTES} minutes of search)"
    worth_of = ahead if gain > 0 else ""
    yield f"Search on{worth_of}: {command_line(going_on_with_zoo(*about, MINUTES))}"
    if any(entry.result for entry in result.entries):
        yield "Open a model's report, by its name below: how to load it, and all of its layers."
