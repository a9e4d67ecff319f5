"""How measurements ended: counts by kind, the commonest errors, and the devices that timed."""

import re
from collections import Counter
from collections.abc import Sequence
from html import escape

from chameleon_ray.record import Record, Status
from chameleon_ray.report.charts import bar
from chameleon_ray.report.columns import Column, html_table
from chameleon_ray.report.format import clock
from chameleon_ray.reporting import Reporting

ERRORS: tuple[Column[tuple[Status, str, int]], ...] = (
    Column("commonest errors", "text", lambda error: f"<code>{escape(error[1])}</code>"),
    Column("status", "text", lambda error: error[0].value),
    Column("count", "number", lambda error: str(error[2])),
)
"""Columns of the table of errors; a row has the status, the text and the count."""


def endings(records: Sequence[Record], options: Reporting) -> str:
    """Renders how measurements ended, and the texts of those that failed."""
    counts = Counter(record.status for record in records)
    total = max(len(records), 1)
    columns: tuple[Column[Status], ...] = (
        Column("status", "text", lambda status: status.value),
        Column("count", "number", lambda status: str(counts[status])),
        Column("share", "share", lambda status: bar(counts[status] / total)),
    )
    seen = [status for status in Status if counts[status]]
    errors = commonest(records, options)
    texts = html_table(ERRORS, errors, "Commonest errors") if errors else ""
    none = "" if errors else '<p class="soft">Nothing failed.</p>'
    table = html_table(columns, seen, "How measurements ended")
    return f'<div class="pair">{table}{texts}{none}</div>'


def devices(records: Sequence[Record]) -> str:
    """Renders what each device timed."""
    names = list(dict.fromkeys(record.device for record in records if record.device))
    own = {name: [record for record in records if record.device == name] for name in names}
    busy = {name: sum(record.run_seconds for record in own[name]) for name in names}
    whole = sum(busy.values()) or 1.0
    columns: tuple[Column[str], ...] = (
        Column("device", "text", escape),
        Column("measured", "number", lambda name: str(len(own[name]))),
        Column("failed", "number", lambda name: str(sum(not one.latencies for one in own[name]))),
        Column("loading and timing", "number", lambda name: clock(busy[name])),
        Column("share", "share", lambda name: bar(busy[name] / whole)),
    )
    return html_table(columns, names, "Devices, and what they timed") if names else ""


def commonest(records: Sequence[Record], options: Reporting) -> list[tuple[Status, str, int]]:
    """Returns status, text and count of the commonest errors.

    Texts that differ in numbers only count as one.
    """
    texts: dict[tuple[Status, str], str] = {}
    counts: Counter[tuple[Status, str]] = Counter()
    for record in records:
        if record.status is Status.OK:
            continue
        said = _said(record.error, options.error_width)
        kind = (record.status, re.sub(r"0x[0-9a-fA-F]+|\d+", "#", said))
        texts.setdefault(kind, said)
        counts[kind] += 1
    return [(kind[0], texts[kind], n) for kind, n in counts.most_common(options.errors)]


def _said(error: str, width: int) -> str:
    """Returns the line of a text that says most: a traceback's last, any other text's first."""
    told = [line.strip() for line in error.splitlines() if line.strip()] or ["(no text)"]
    line = told[-1] if told[0].startswith("Traceback") else told[0]
    return line if len(line) <= width else line[:width] + "..."
