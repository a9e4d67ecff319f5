"""Runs the table of hostile attempts through the real command, and prints it as Markdown.

    python scripts/hostile.py [WORDS ...]

With words, only attempts whose description has one of them are run. Each is a command of its own,
``chameleon tune MODEL --trials 4``, without Ray. After it there must be the exit status that the
table says, one sentence on stderr where it is an error, no process, and no file in the temporary
directory. The exit status is 1 where anything differs.
"""

import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.hostile.attempts import CALLED, READ, Attempt  # noqa: E402
from tests.hostile.graphs import write  # noqa: E402
from tests.hostile.leftovers import files_left  # noqa: E402
from tests.whole.command import SERIAL, Command  # noqa: E402

OPTIONS = (*SERIAL, "--trials", "4", "--store", "none")
PATIENCE = 300.0


def tried(attempt: Attempt, folder: Path) -> tuple[int, str, str]:
    """Runs one attempt; returns exit status, what is said, and what is wrong."""
    temporary = folder / "t"
    temporary.mkdir()
    write(folder)
    given = [word for one in attempt.inputs for word in ("--input", one)]
    spec = attempt.spec(Path())
    command = Command(
        *("tune", spec, *given, *OPTIONS, "--out", "run"),
        environment={"TMPDIR": str(temporary)},
        cwd=folder,
    )
    code, _, err = command.wait(PATIENCE)
    wrong = []
    if code != (1 if attempt.said else 0):
        wrong.append(f"exit status {code}")
    if attempt.said and not re.fullmatch(r"Error: [^\n]+\.", err.strip()):
        wrong.append("not one sentence")
    wrong += [f"{words!r} is not said" for words in attempt.said if words not in err]
    wrong += [f"process left: {line}" for line in command.orphans().values()]
    wrong += [f"file left: {name}" for name in files_left(temporary)]
    if not attempt.said and not (folder / "run" / "model.so").is_file():
        wrong.append("no library")
    return code, err.strip().removeprefix("Error: "), "; ".join(wrong)


def main() -> int:
    """Runs the attempts that the words choose."""
    words = sys.argv[1:]
    rows = [("a factory", one) for one in CALLED] + [("a file", one) for one in READ]
    chosen = [row for row in rows if not words or any(word in row[1].what for word in words)]
    print("| what | does | status | what is said |\n|---|---|---|---|", flush=True)
    failures = 0
    for kind, attempt in chosen:
        folder = Path(tempfile.mkdtemp(prefix="hostile-"))
        try:
            code, said, wrong = tried(attempt, folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        failures += bool(wrong)
        said = (said or "tuned and verified").replace("|", "\\|")
        fault = f" **WRONG: {wrong}**" if wrong else ""
        print(f"| {kind} | {attempt.what} | {code} | {said}{fault} |", flush=True)
    print(f"\n{len(chosen) - failures} of {len(chosen)} as the table says.", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    os.environ["COLUMNS"] = "1000"
    sys.exit(main())
