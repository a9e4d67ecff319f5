"""A program that has runners of other nodes run whole models, and says last what it saw."""

import asyncio
import json
import os
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import ray
from chaos_nodes import Nodes

from chameleon_ray.api import pools, workers
from chameleon_ray.api.model_process import ModelProcess
from chameleon_ray.api.runners_bench import RunnersBench
from chameleon_ray.cluster import ray_session
from chameleon_ray.cluster.actor_pool import ActorPool
from chameleon_ray.cluster.placement import one_per_node
from chameleon_ray.compiler.kinds import LLVM
from chameleon_ray.compiler.prepared import Prepared
from chameleon_ray.compiler.target import device_name
from chameleon_ray.errors import UserError
from chameleon_ray.measure.bench import Question
from chameleon_ray.measure.cores import available, machine
from chameleon_ray.measure.isolate import Outcome
from chameleon_ray.options import Confirming, Request

CORES = available()[-1:]
LONG = Confirming(model_repeats=2_000_000, model_seconds=3)


class Noted:
    """A runner as a session has them, which notes where it is before it answers."""

    def __init__(self, request: Request, folder: Path) -> None:
        self._folder = folder
        tempfile.tempdir = str(folder / "temporary")
        self._runner = workers.runner(request, LLVM, machine(), CORES, device_name(1))

    def bench(self, question: Question, contents: tuple[bytes, ...]) -> Outcome:
        node = ray.get_runtime_context().get_node_id()
        with (self._folder / "notes").open("a") as notes:
            notes.write(f"{node} {os.getpid()}\n")
        return self._runner.bench(question, contents)


class Models:
    """A model's library, one of the same model with other weights, and what is no library."""

    def __init__(self, process: ModelProcess, folder: Path) -> None:
        self.folder = folder
        self.right, self.wrong, self.none = (folder / f"{n}.so" for n in ("right", "wrong", "none"))
        process.prepare(Request("tests.whole.net:ones"))
        process.compile_untuned(self.wrong)
        self.prepared: Prepared = process.prepare(Request("tests.whole.net:dense"))
        process.compile_untuned(self.right)
        self.none.write_bytes(b"no library")

    def left(self) -> list[str]:
        """The files in the runners' temporary directory, where children's directories are."""
        found = (self.folder / "temporary").rglob("*")
        return [file.name for file in found if not file.is_dir()]

    def notes(self) -> list[list[str]]:
        """Node and process of every answer that was begun."""
        file = self.folder / "notes"
        return [line.split() for line in file.read_text().splitlines()] if file.exists() else []


async def seen(process: ModelProcess, models: Models, said: list[str]) -> dict[str, Any]:
    """What comes of right, wrong and broken libraries, and of a runner that is killed at work."""
    runners = ActorPool(
        "runner",
        partial(Noted, Request("net"), models.folder),
        pools.PHASES,
        time.perf_counter(),
        spread=one_per_node,
        doubt=pools.doubtful,
        tell=said.append,
    )
    await runners.ready()
    async with asyncio.timeout(180):
        while len(await runners.accounts()) < 2:
            await asyncio.sleep(0.2)
    bench = RunnersBench(runners)
    right, wrong, prepared = models.right, models.wrong, models.prepared
    found: dict[str, Any] = {"driver": ray.get_runtime_context().get_node_id()}
    for name, library in (("right", right), ("wrong", wrong)):
        verdict = await asyncio.to_thread(process.check, library, prepared, bench)
        found[name] = [verdict.ok, verdict.max_abs_err, verdict.against]
    try:
        await asyncio.to_thread(process.outputs, models.none, prepared.inputs, bench)
    except UserError as error:
        found["broken"] = str(error)
    found["left"] = models.left()
    found["before"] = models.notes()
    duel = asyncio.to_thread(process.duel, (right, wrong), prepared.inputs, LONG, bench)
    dueling = asyncio.create_task(duel)
    while len(models.notes()) == len(found["before"]):
        await asyncio.sleep(0.1)
    await asyncio.sleep(1)
    os.kill(int(models.notes()[-1][1]), signal.SIGKILL)
    latencies = await dueling
    found["duel"] = [len(one) for one in latencies]
    found["after"] = models.notes()[len(found["before"]) :]
    found["phases"] = sorted({phase for a in await runners.accounts() for phase in a.busy})
    found["process"] = sorted(process.account(time.perf_counter()).busy)
    runners.close()
    return found


def main() -> None:
    """A head without cores, and two nodes."""
    folder, said = Path(sys.argv[1]), list[str]()
    (folder / "temporary").mkdir()
    with ExitStack() as stack:
        process = ModelProcess(LLVM, CORES, stack)
        models = Models(process, folder)
        nodes = Nodes(2, cpus=1)
        stack.callback(nodes.close)
        stack.enter_context(ray_session.start(nodes.address))
        found = asyncio.run(seen(process, models, said))
    print(json.dumps(found | {"said": said}))


if __name__ == "__main__":
    main()
