"""The commands that time on this machine: each says which cores it has, and who it is.

A command's entry is a file that it locks for as long as it lives, so nobody is taken for one that
has ended. Entries of one user are seen.
"""

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass

from chameleon_ray.folder_lock import abandoned, seized
from chameleon_ray.measure import rendezvous

FOLDER = "commands"


@dataclass(frozen=True)
class Occupant:
    """A command under way.

    Attributes:
        process: Id of its process.
        command: Its command line.
        folder: Directory that it writes to.
        building: Cores that it searches and builds on.
        timing: Cores that it times on; empty where it times on GPUs, or not at all.
        gpus: UUIDs of the GPUs of this machine that it may time on.
    """

    process: int
    command: str
    folder: str
    building: tuple[int, ...]
    timing: tuple[int, ...]
    gpus: tuple[str, ...] = ()

    @property
    def called(self) -> str:
        """The command for people."""
        return f"process {self.process} ({self.command}, in {self.folder})"

    def told(self, own: "Occupant") -> str:
        """Says how this command and one's own are in each other's way; empty where they are not."""
        timing, built = set(self.timing) & set(own.timing), set(self.building) & set(own.timing)
        if timing:
            return (
                f"Another command, {self.called}, times on the same cores ({_listed(timing)}): "
                "the two take turns, so each of them measures less."
            )
        if built and own.timing:
            return (
                f"Another command, {self.called}, builds on cores that this one times on "
                f"({_listed(built)}): latencies are disturbed; give both the same --threads, or "
                "run one after the other."
            )
        if shared := sorted(set(self.gpus) & set(own.gpus)):
            return (
                f"Another command, {self.called}, may have the same GPUs ({', '.join(shared)}): "
                "each times on what it got first, until it ends; share them out by "
                "CUDA_VISIBLE_DEVICES, or run one after the other."
            )
        return ""


@contextmanager
def occupying(own: Occupant) -> Iterator[None]:
    """Has other commands know of one for the length of a block, where its entry can be written."""
    with ExitStack() as stack:
        with suppress(OSError):
            stack.callback(rendezvous.leave, FOLDER)
            stack.enter_context(_entered(own))
        yield


@contextmanager
def _entered(own: Occupant) -> Iterator[None]:
    """Has an entry for the length of a block; raises an ``OSError`` where it cannot be written."""
    name = f"{FOLDER}/{own.process}"
    with rendezvous.lock(name, seized) as file:
        file.truncate()  # a command that was killed may have had the same id
        file.write(json.dumps(asdict(own)))
        file.flush()
        try:
            yield
        finally:
            with suppress(OSError):
                os.unlink(rendezvous.place() / name)


def others() -> list[Occupant]:
    """Returns the commands under way, but for this process's own."""
    found = []
    for path in rendezvous.found(FOLDER):
        if path.name == str(os.getpid()) or not path.name.isdecimal():
            continue
        with suppress(OSError, ValueError, TypeError, KeyError):
            if not abandoned(path):
                body = json.loads(path.read_text())
                several = {name: tuple(body[name]) for name in ("building", "timing", "gpus")}
                found.append(Occupant(**{**body, **several}))
    return found


def _listed(cores: set[int]) -> str:
    return ", ".join(map(str, sorted(cores)))
