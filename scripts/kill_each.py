"""Kills each kind of process of a command, in each of its phases, and goes on with the run.

    python scripts/kill_each.py [--jobs 1] [--seconds 3600] [--out DIR] [WORDS ...]

Each kill is a run of its own of a tiny model: a phase begins, and all processes of one kind get
SIGKILL. The command must then end verified, or with one sentence, and leave nothing: no process, no
torn file. ``--resume`` must end verified, with every record kept. With words, only kills that have
one of them are made.

``--out`` keeps a line of JSON for each kill; a later call makes those that are missing. With
``--jobs`` several are under way at once. The exit status is 1 where anything was wrong.
"""

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from random_signals import PATIENCE, Trial, kept, left  # noqa: E402

from chameleon_ray.cluster.reaper import STUCK  # noqa: E402
from tests.hostile.leftovers import files_left  # noqa: E402
from tests.hostile.stage import SENTENCE  # noqa: E402
from tests.whole.command import SERIAL, Command, until  # noqa: E402
from tests.whole.onnx_net import dense_layers  # noqa: E402
from tests.whole.test_faults import ISOLATE, parent  # noqa: E402

COMPARED = ("--compare", "onnxruntime")
OPTIONS = {
    "serial": (*SERIAL, "--trials", "8", *COMPARED),
    "ray": ("--explorer", "random", "--trials", "12", "--no-compare"),
}
PHASES = {
    "serial": (
        "importing the model",
        "compiling the model untuned",
        "verifying the model untuned",
        "searching",
        "choosing winners",
        "compiling the model",
        "verifying the model",
        "timing the model in turns with other frameworks",
        "writing the report",
    ),
    "ray": ("importing the model", "searching", "choosing winners", "compiling the model"),
}
RAY = {
    "raylet": "raylet/raylet ",
    "control store": "gcs/gcs_server",
    "workers": "ray::",
    "reaper": "cluster/reaper.py",
}
"""Words of the command lines of a private Ray's processes, by kind; agents have none."""
NEEDED = ("raylet", "control store")
"""Kinds that Ray's library may wait for, so that the command is killed."""
KINDS = {
    "serial": ("command", "zygotes", "children"),
    "ray": ("command", "zygotes", "children", "agents", *RAY),
}


def chosen(command: Command, kind: str) -> list[int]:
    """Returns the processes of a kind that live now."""
    if kind == "command":
        return [command.process.pid]
    if kind == "agents":
        return command.agents()
    lines = command.processes()
    if kind in RAY:
        return [pid for pid, line in lines.items() if RAY[kind] in line]
    isolates = {pid for pid, line in lines.items() if ISOLATE in line}
    return sorted(pid for pid in isolates if (parent(pid) in isolates) == (kind == "children"))


class Kill(Trial):
    """One run of which a kind of process is killed in a phase."""

    def __init__(self, engine: str, phase: str, kind: str, model: Path, folder: Path) -> None:
        super().__init__(0, model, folder)
        self.engine, self.phase, self.kind = engine, phase, kind
        self.options = OPTIONS[engine]

    def made(self) -> dict[str, Any]:
        """Makes the kill and goes on with the run; returns what happened."""
        command = self.start()
        log = self.out / "log.jsonl"
        words = '"event": "phase"', f'"name": "{self.phase}"'

        def begun() -> bool:
            known = log.read_text().splitlines() if log.exists() else []
            return any(all(word in line for word in words) for line in known)

        until(lambda: begun() or command.process.poll() is not None, PATIENCE)
        until(lambda: chosen(command, self.kind) or command.process.poll() is not None, 3.0)
        hit = chosen(command, self.kind) if command.process.poll() is None else []
        for pid in hit:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        code, _, err = command.wait(PATIENCE)
        waits = self.kind in NEEDED and STUCK.partition("{")[0] in err  # inside Ray's library
        ended = (self.kind == "command" and hit) or waits
        self.demand(code in ((-signal.SIGKILL,) if ended else (0, 1)), f"status {code}: {err}")
        self.demand(code != 1 or SENTENCE.fullmatch(err.strip()), f"no sentence: {err}")
        self.demand(not (found := left(command)), f"processes and ports left: {found}")
        self.demand(self.library_is_whole(), "model.so is torn")
        before = self.records()
        if code:
            self.go_on(before)
        else:
            files = files_left(self.temporary)
            self.demand(not files, f"files left: {files[:5]}")
        return {
            "engine": self.engine,
            "phase": self.phase,
            "kind": self.kind,
            "killed": len(hit),
            "status": code,
            "records": len(before),
            "said": err,
            "wrong": self.wrong,
        }


def killed(engine: str, phase: str, kind: str) -> dict[str, Any]:
    """Makes one kill in a directory of its own."""
    folder = Path(tempfile.mkdtemp(prefix="k-", dir="/tmp"))  # Ray's sockets need short names
    try:
        model = Path(dense_layers(folder / "dense.onnx", 64, 192))
        return Kill(engine, phase, kind, model, folder).made()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main() -> int:
    """Makes the kills that are missing, as far as there is time, and sums up all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=1, help="kills that are under way at once")
    parser.add_argument("--seconds", type=float, default=1e9, help="begins no kill after them")
    parser.add_argument("--out", type=Path, default=Path("kill_each"))
    parser.add_argument("words", nargs="*")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    log, deadline = args.out / "kills.jsonl", time.monotonic() + args.seconds
    done = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    known = {(one["engine"], one["phase"], one["kind"]) for one in done}
    every = [(e, p, k) for e in OPTIONS for p in PHASES[e] for k in KINDS[e]]
    asked = [o for o in every if not args.words or any(w in " ".join(o) for w in args.words)]

    def made(one: tuple[str, str, str]) -> dict[str, Any] | None:
        return killed(*one) if time.monotonic() < deadline else None

    done += kept(args.jobs, made, [one for one in asked if one not in known], log)
    wrong = sum(bool(one["wrong"]) for one in done)
    there = sum(bool(one["killed"]) for one in done)
    print(f"{len(done)} of {len(every)} kills, {there} found their process, {wrong} went wrong")
    return 1 if wrong or not there else 0


if __name__ == "__main__":
    sys.exit(main())
