"""CPU cores: their split between timing kernels and everything else."""

import os
import re
import socket
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from chameleon_ray.errors import UserError

CPU = Path("/sys/devices/system/cpu")
GROUPS, OWN = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
BOOT = Path("/proc/sys/kernel/random/boot_id")


def machine() -> str:
    """Names the machine, or the container, that this process is on."""
    try:
        return f"{socket.gethostname()} {BOOT.read_text().strip()}"
    except OSError:
        return socket.gethostname()


def available() -> tuple[int, ...]:
    """Returns the cores this process may use, as many as its quota of CPU time allows.

    Hyper-threads of one core are neighbours, so that a split leaves them together.
    """
    cores = neighbours(os.sched_getaffinity(0))
    return cores[: _quota(len(cores))]


def neighbours(cores: Iterable[int]) -> tuple[int, ...]:
    """Returns cores in order, the hyper-threads of a physical core next to each other."""
    return tuple(sorted(cores, key=lambda core: (_first_sibling(core), core)))


def _first_sibling(core: int) -> int:
    """Returns the first hyper-thread of the physical core that ``core`` is a thread of."""
    siblings = CPU / f"cpu{core}" / "topology" / "thread_siblings_list"
    try:
        return int(re.split("[,-]", siblings.read_text().strip())[0])
    except (OSError, ValueError):
        return core


def _quota(cores: int) -> int:
    """Returns the whole cores that the quotas of CPU time allow; at least one."""
    return max(1, min([cores, *(int(quota) for quota in _quotas())]))


def _quotas() -> Iterator[float]:
    """Yields the quotas of this process's control groups, in cores, and of those above them."""
    with suppress(OSError, ValueError):
        for line in OWN.read_text().splitlines():
            _, kinds, path = line.split(":", 2)
            if not kinds or "cpu" in kinds.split(","):
                own = GROUPS / kinds / path.strip("/")
                for group in (own, *own.parents):
                    if group.is_relative_to(GROUPS):
                        yield from _quota_of(group)


def _quota_of(group: Path) -> Iterator[float]:
    """Yields the quota of one control group; nothing where it has none."""
    with suppress(OSError, ValueError):  # the second version's
        quota, period = (group / "cpu.max").read_text().split()
        yield int(quota) / int(period)
    with suppress(OSError, ValueError):  # the first version's, where -1 is none
        micros = int((group / "cpu.cfs_quota_us").read_text())
        if micros > 0:
            yield micros / int((group / "cpu.cfs_period_us").read_text())


def threads(text: str) -> int:
    """Reads a number of cores; ``all`` stands for every core that this process may use.

    Raises:
        ValueError: The text is no such number.
    """
    return len(available()) if text == "all" else int(text)


def kept(cores: int, threads: int | None, gpus: int | None = None, instances: int = 1) -> int:
    """Returns the number of a machine's cores that are kept for timing.

    Args:
        cores: Number of all cores.
        threads: Cores of each copy; where None, and there are several copies, one.
        gpus: The machine's GPUs, each of which needs a core that feeds it. Where None, the cores
            themselves time, and half of them are kept.
        instances: Number of copies of a kernel that run at once.
    """
    if threads is not None or instances > 1:
        return instances * (1 if threads is None else threads)
    half = max(cores // 2, 1)
    return half if gpus is None else min(max(gpus, 1), half)


def split(
    cores: tuple[int, ...], threads: int | None, gpus: int | None = None, instances: int = 1
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Splits the cores into those for the search and builds, and those for timing alone.

    A timing that shares its core with a build is noise. So the two sets are disjoint, unless all
    cores are to time: both are all cores then, and whoever times has to stop everything else. The
    timing cores are the last ones, as interrupts favour the first.

    Args:
        cores: All cores.
        threads: Timing cores wanted for each copy; where None, half of all, or one per GPU.
        gpus: Number of the machine's GPUs, where they are timed instead of the cores.
        instances: Number of copies of a kernel that run at once; see ``kept``.

    Raises:
        UserError: More are wanted than can be had.
    """
    wanted = kept(len(cores), threads, gpus, instances)
    if not 1 <= wanted <= len(cores):
        there = "one core" if len(cores) == 1 else f"{len(cores)} cores"
        if instances > 1:
            asked = f"--instances {instances} take {wanted} cores"
            raise UserError(f"{asked}, and this machine has {there}; give fewer.")
        raise UserError(f"--threads {wanted}: this machine has {there}; give fewer, or all.")
    if wanted == len(cores):
        return cores, cores
    return cores[:-wanted], cores[-wanted:]
