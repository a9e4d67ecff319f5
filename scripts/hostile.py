"""Runs the table of hostile attempts through the real command, and writes it as Markdown.

    python scripts/hostile.py [--jobs N] [--keep FILE [--left]] [--seconds S] [WORDS ...]

With words, only attempts that have one of them are run. Each is a command of its own, in a folder
of its own. After it there must be the exit status that the table says, one sentence on stderr where
it is an error, no process, no socket and no file in the temporary directory, and in the run
directory whole records and strict JSON. ``--keep`` adds the rows to a file of JSON, in the place of
older rows of the same attempts, and prints the table of all that is in it. With ``--left`` those
that the file has as they must be are not run again. No attempt begins after ``--seconds``. The exit
status is 1 where anything differs.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.hostile.attempts import CALLED, READ, Attempt  # noqa: E402
from tests.hostile.graphs import write  # noqa: E402
from tests.hostile.stage import CommandAttempt, Ended, Stage, table, tried  # noqa: E402

HEAD = "| what | does | status | what is said |\n|---|---|---|---|"
LONGEST = 260


def importing(kind: str, one: Attempt) -> CommandAttempt:
    """Makes an attempt on the command of one on the import of a model."""

    def act(stage: Stage) -> Ended:
        write(stage.folder)
        given = [word for text in one.inputs for word in ("--input", text)]
        return stage.tune(one.spec(Path()), *given)

    return CommandAttempt(kind, one.what, act, 1 if one.said else 0, one.said)


@cache
def finished() -> Path:
    """Makes the finished run that attempts copy."""
    stage = Stage(Path(tempfile.mkdtemp(prefix="finished-")), lambda: Path())
    ended = stage.tune()
    assert ended.code == 0, ended
    return stage.folder / "run"


def row(one: CommandAttempt, deadline: float) -> dict:
    """Runs one attempt; returns its row, which is empty where there is no time for it."""
    if time.monotonic() > deadline:
        return {}
    if why := one.able():
        return {"kind": one.kind, "what": one.what, "code": "", "said": f"not tried: {why}"}
    folder = Path(tempfile.mkdtemp(prefix="h-"))
    try:
        ended, wrong = tried(one, folder, finished)
    except Exception as error:
        ended, wrong = Ended(-1), f"{type(error).__name__}: {error}"
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    said = ended.err.strip().removeprefix("Error: ") or "goes on, and ends as usual"
    said = said if ended.code >= 0 else "killed; nothing of it is left"
    said = " ".join(said.replace(str(folder), "FOLDER").replace("|", "\\|").split())
    if len(said) > LONGEST:
        said = f"{said[: LONGEST // 2]} ... {said[-LONGEST // 2 :]}"
    return {"kind": one.kind, "what": one.what, "code": ended.code, "said": said, "wrong": wrong}


def is_right(one: dict) -> bool:
    """Whether a row is of an attempt that was made, and ended as it must."""
    return one["code"] != "" and not one.get("wrong")


def line(one: dict) -> str:
    fault = f" **WRONG: {one['wrong']}**" if one.get("wrong") else ""
    return f"| {one['kind']} | {one['what']} | {one['code']} | {one['said']}{fault} |"


def earlier(file: Path | None) -> list[dict]:
    """Returns the rows of earlier calls."""
    return json.loads(file.read_text()) if file is not None and file.exists() else []


def kept(file: Path | None, rows: list[dict], order: Callable[[dict], int]) -> list[dict]:
    """Returns the rows with those of earlier calls."""
    if file is None:
        return rows
    known = {(one["kind"], one["what"]): one for one in [*earlier(file), *rows]}
    merged = sorted(known.values(), key=order)
    file.write_text(json.dumps(merged, indent=1))
    return merged


def main() -> int:
    """Runs the attempts that the words choose."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--left", action="store_true")
    parser.add_argument("--seconds", type=float, default=1e9)
    parser.add_argument("words", nargs="*")
    asked = parser.parse_args()
    every = [importing("a factory", one) for one in CALLED]
    every += [importing("a file", one) for one in READ] + table()
    named = {one: f"{one.kind} {one.what}" for one in every}
    chosen = [o for o in every if not asked.words or any(w in named[o] for w in asked.words)]
    if asked.left:
        good = {(o["kind"], o["what"]) for o in earlier(asked.keep) if is_right(o)}
        chosen = [one for one in chosen if (one.kind, one.what) not in good]
    deadline = time.monotonic() + asked.seconds
    finished()
    with ThreadPoolExecutor(asked.jobs) as pool:
        rows = [one for one in pool.map(lambda one: row(one, deadline), chosen) if one]
    shutil.rmtree(finished().parent, ignore_errors=True)
    places = {(one.kind, one.what): number for number, one in enumerate(every)}
    shown = kept(asked.keep, rows, lambda one: places.get((one["kind"], one["what"]), 10**6))
    print(HEAD, *map(line, shown), sep="\n")
    failures, right = sum(bool(one.get("wrong")) for one in rows), sum(map(is_right, rows))
    left = len(rows) - failures - right
    print(f"\n{right} of {len(rows)} as the table says, {left} not tried.", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
