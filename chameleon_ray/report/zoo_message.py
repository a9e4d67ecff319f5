"""A tuned zoo on a terminal: a row per model, and sentences about all of them together."""

from collections.abc import Sequence
from functools import partial

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from chameleon_ray.merging import Merged
from chameleon_ray.record import Status, own
from chameleon_ray.report.columns import Column, text_table
from chameleon_ray.report.format import UNKNOWN, clock, counted, milliseconds, percent
from chameleon_ray.report.result import UNTUNED, Latency
from chameleon_ray.report.zoo import ZooEntry, ZooResult
from chameleon_ray.report.zoo_comparison import frameworks, latency, left_out, means, told

NAME = Column[ZooEntry]("model", "text", lambda entry: entry.name)
LAYERS: tuple[Column[ZooEntry], ...] = (
    Column("layers", "number", lambda entry: str(entry.layers) if entry.layers else UNKNOWN),
    Column("shared", "number", lambda entry: str(entry.shared) if entry.layers else UNKNOWN),
)


def final_message(result: ZooResult) -> RenderableType:
    """Returns the message at the end of a zoo: a row per model, shared layers, and files."""
    words = [Text(line) for line in (*sentences(result), *result.buckets)]
    return Group("", table(result.entries), *words)


def survey_table(entries: Sequence[ZooEntry]) -> Table:
    """Makes a table with the number of layers of each model."""
    return text_table((NAME, *LAYERS, OUTPUTS), entries)


def table(entries: Sequence[ZooEntry]) -> Table:
    """Makes a table with what each model takes, tuned and otherwise."""
    return text_table((NAME, *latency_columns(entries), OUTPUTS), entries)


def latency_columns(entries: Sequence[ZooEntry]) -> tuple[Column[ZooEntry], ...]:
    """Returns columns of ms: tuned, in each framework that ran any of the models, and untuned."""
    others = (
        Column[ZooEntry](title, "number", partial(_in_framework, title))
        for title in frameworks([entry.result for entry in entries])
    )
    return (
        Column("tuned, ms", "number", lambda entry: _milliseconds(entry.latencies[1])),
        *others,
        Column(UNTUNED, "number", lambda entry: _milliseconds(entry.latencies[0])),
    )


def _in_framework(name: str, entry: ZooEntry) -> str:
    return latency(entry.result, name)


def merging(layers: Merged) -> str:
    """Tells the number of layers, before and after merging."""
    return f"{layers.before} layers, {len(layers.distinct)} after merging equal ones"


def outputs(entry: ZooEntry) -> str:
    """Tells in few words whether a model's outputs are the original's."""
    if entry.failure:
        return "failed"
    if entry.result is None or entry.result.verified is None:
        return UNKNOWN
    verified = entry.result.verified
    if verified.outcome == "unverified":
        return "not verified"
    return f"{'as' if verified.ok else 'NOT as'} {verified.against}'s"


OUTPUTS = Column[ZooEntry]("outputs", "text", outputs)


def sentences(result: ZooResult) -> list[str]:
    """Returns sentences about all models together."""
    return [
        f"On {result.device}. {told(means([entry.result for entry in result.entries]))}",
        *left_out(result.faults),
        *searched(result),
        f"Files: {result.folder}/report.html, {result.folder}/summary.json; run directories in "
        f"{result.folder}/models.",
    ]


def searched(result: ZooResult) -> list[str]:
    """Returns sentences about the search."""
    mine = own(result.records)
    failed = sum(record.status is not Status.OK for record in mine)
    made = counted(len(mine), "measurement")
    return [
        f"{merging(result.merged)}; {result.taught} began with what layers of the same "
        "operators had taught.",
        f"{made} ({failed} failed) in {clock(result.wall_seconds)}, device "
        f"{percent(result.device_busy_fraction)} busy; {counted(result.saved, 'measurement')} "
        "saved by merging.",
    ]


def _milliseconds(found: Latency | None) -> str:
    return milliseconds(found.seconds) if found else UNKNOWN
