"""Runs ONNX's own backend tests through the importer, and says what becomes of them.

    python scripts/onnx_conformance.py [--only TEXT] [--each N] [--details] [--docs] [--shrink]

The tests are those of tensors only in the ``onnx`` wheel: of single operators, of operators that
their functions expand, and of small graphs. Those that ONNX Runtime passes are imported, compiled
without tuning, and compared with the outputs that the test has. ``--docs`` writes the table in
``docs/reference/models.md``. ``--shrink`` deletes from the list of expected failures what is right
now, and corrects what is refused now; ``--list`` writes the list anew. All tests take about ten
minutes.
"""

import argparse
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.onnx_backend import expected  # noqa: E402
from tests.onnx_backend.cases import FORMS, cases, chosen  # noqa: E402
from tests.onnx_backend.verdicts import Job, Result, Verdict, passed, results  # noqa: E402

DOCUMENT = ROOT / "docs" / "reference" / "models.md"
BEGIN, END = "<!-- conformance: begin -->\n", "<!-- conformance: end -->\n"
"""Lines between which the table is in the document."""

Found = Mapping[Job, Result]


def judged(names: Sequence[str]) -> Found:
    """Runs the cases that ONNX Runtime passes, in both forms."""
    right = passed(names)
    print(f"ONNX Runtime passes {len(right)} of {len(names)}.", flush=True)
    return dict(results([Job(name, form) for name in right for form in FORMS]))


def totals(found: Found) -> list[str]:
    """Returns a line for each form with the number of tests by verdict."""
    lines = []
    for form in FORMS:
        counts = Counter(result.verdict for job, result in found.items() if job.form == form)
        share = counts[Verdict.RIGHT] / max(sum(counts.values()), 1)
        others = ", ".join(f"{counts[v]} {v}" for v in Verdict if v is not Verdict.RIGHT)
        lines.append(
            f"{form}: {counts[Verdict.RIGHT]} of {sum(counts.values())} right ({share:.1%}); "
            f"{others}"
        )
    return lines


def table(found: Found) -> str:
    """Returns a table by operator, in Markdown; operators of which all is right are only named."""
    tests: dict[str, list[Job]] = defaultdict(list)
    for job in found:
        tests[cases()[job.name].operator].append(job)
    whole, rows = [], []
    for operator, jobs in sorted(tests.items()):
        right = Counter(job.form for job in jobs if found[job].verdict is Verdict.RIGHT)
        count = len(jobs) // len(FORMS)
        if all(right[form] == count for form in FORMS):
            whole.append(f"{operator} ({count})")
            continue
        verdicts = Counter(found[job].verdict for job in jobs)
        rest = ", ".join(
            f"{verdicts[v]} {v}" for v in Verdict if v is not Verdict.RIGHT and verdicts[v]
        )
        cells = [operator, str(count), *(str(right[form]) for form in FORMS), rest]
        rows.append(f"| {' | '.join(cells)} |")
    head = ["operator", "tests", *FORMS, "the rest, of both"]
    return "\n".join(
        [
            *(f"* {line}" for line in totals(found)),
            "",
            f"All tests are right of: {', '.join(whole)}.",
            "",
            f"| {' | '.join(head)} |",
            f"|{'---|' * len(head)}",
            *rows,
            "",
        ]
    )


def write_table(text: str) -> None:
    """Puts a table into the document, in place of the one that is there."""
    before, _, rest = DOCUMENT.read_text().partition(BEGIN)
    DOCUMENT.write_text(f"{before}{BEGIN}{text}{END}{rest.partition(END)[2]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="a text that the tests' names must have")
    parser.add_argument("--each", type=int, help="at most so many tests of an operator")
    parser.add_argument("--details", action="store_true", help="name each test that is not right")
    parser.add_argument("--docs", action="store_true", help="write the document's table")
    parser.add_argument("--shrink", action="store_true", help="shrink the list of failures")
    parser.add_argument("--list", action="store_true", help="write the list of failures anew")
    options = parser.parse_args()
    began = time.monotonic()
    names = chosen(options.each, np.random.default_rng(0)) if options.each else list(cases())
    found = judged([name for name in names if options.only in name])
    for job, result in found.items() if options.details else ():
        if result.verdict is not Verdict.RIGHT:
            print(f"{job.name} [{job.form}] {result.verdict}: {result.detail}")
    print("\n".join(totals(found)), f"{time.monotonic() - began:.0f} s", sep="\n")
    if options.docs:
        write_table(table(found))
    if options.list:
        expected.write({job: result.verdict for job, result in found.items()})
    if options.shrink:
        known = expected.expected()
        now = {job: found[job].verdict if job in found else known[job] for job in known}
        expected.write(now)


if __name__ == "__main__":
    main()
