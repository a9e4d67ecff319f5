"""The list of ONNX's tests that are known not to be right; it may only shrink."""

from collections.abc import Mapping
from pathlib import Path

from tests.onnx_backend.verdicts import Job, Verdict

LIST = Path(__file__).with_name("expected_failures.txt")
HEADER = """\
# ONNX's backend tests that ONNX Runtime passes and this package does not: name, form, verdict.
# A test that is listed and right fails the suite, too: delete its line. Add none.
"""


def expected() -> dict[Job, Verdict]:
    """Returns the verdicts of the tests that are not right, by test and form."""
    found = {}
    for line in LIST.read_text().splitlines():
        if line and not line.startswith("#"):
            name, form, verdict = line.split(" | ")
            found[Job(name, form)] = Verdict(verdict)
    return found


def write(verdicts: Mapping[Job, Verdict]) -> None:
    """Writes the list; tests that are right are left out."""
    lines = sorted(
        f"{job.name} | {job.form} | {verdict}\n"
        for job, verdict in verdicts.items()
        if verdict is not Verdict.RIGHT
    )
    LIST.write_text(HEADER + "".join(lines))
