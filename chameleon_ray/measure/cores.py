"""CPU cores: which ones time kernels, and which ones do everything else."""

import os


def available() -> tuple[int, ...]:
    """Cores this process may use, in order."""
    return tuple(sorted(os.sched_getaffinity(0)))


def split(cores: tuple[int, ...], threads: int | None) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Cores for the search and builds, and cores for timing alone.

    A timing that shares its core with a build is noise, so the two sets are disjoint wherever
    there are two cores; the timing cores are the last ones, as interrupts favour the first.

    Args:
        cores: All there are.
        threads: Timing cores wanted; half of all where None.

    Raises:
        ValueError: More are wanted than can be had.
    """
    if len(cores) == 1:
        wanted = 1 if threads is None else threads
        if wanted != 1:
            raise ValueError(f"--threads {wanted}: this machine has one core.")
        return cores, cores
    wanted = len(cores) // 2 if threads is None else threads
    if not 1 <= wanted < len(cores):
        raise ValueError(
            f"--threads {wanted}: of this machine's {len(cores)} cores, 1 to {len(cores) - 1} can "
            "be kept for timing."
        )
    return cores[:-wanted], cores[-wanted:]
