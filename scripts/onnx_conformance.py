"""Runs ONNX's own backend tests through the importer, and says what becomes of them.

    python scripts/onnx_conformance.py [--only TEXT] [--out FILE.json] [--details] [--docs]

The tests are those of tensors only in the ``onnx`` wheel: of single operators, of operators that
their functions expand, and of small graphs. Each is imported, compiled without tuning, and compared
with the outputs that the test has. ``--docs`` writes the table in ``docs/models.md``.
"""

import argparse
import json
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.onnx_backend.cases import FORMS, cases  # noqa: E402
from tests.onnx_backend.verdicts import ORT, Job, Result, Verdict, results  # noqa: E402

Table = Mapping[str, Mapping[str, Result]]
"""Results by case and form."""


def judged(only: str) -> dict[str, dict[str, Result]]:
    """Runs the cases that ONNX Runtime passes and whose names have a text in them."""
    names = [name for name in cases() if only in name]
    passed = [
        job.name
        for job, result in results([Job(name, ORT) for name in names])
        if result.verdict is Verdict.RIGHT
    ]
    print(f"ONNX Runtime passes {len(passed)} of {len(names)}.", flush=True)
    found: dict[str, dict[str, Result]] = defaultdict(dict)
    for job, result in results([Job(name, form) for name in passed for form in FORMS]):
        found[job.name][job.form] = result
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="a text that the tests' names must have")
    parser.add_argument("--out", type=Path, help="a JSON file for the results")
    parser.add_argument("--details", action="store_true", help="name each test that is not right")
    options = parser.parse_args()
    began = time.monotonic()
    found = judged(options.only)
    if options.out:
        plain = {name: {f: asdict(r) for f, r in forms.items()} for name, forms in found.items()}
        options.out.write_text(json.dumps(plain, indent=1))
    for form in FORMS:
        counts = Counter(forms[form].verdict for forms in found.values())
        seconds = sum(forms[form].seconds for forms in found.values())
        print(form, {str(v): counts[v] for v in Verdict}, f"{seconds:.0f} s")
    for name, forms in found.items() if options.details else ():
        for form, result in forms.items():
            if result.verdict is not Verdict.RIGHT:
                print(f"{name} [{form}] {result.verdict}: {result.detail}")
    print(f"{time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
