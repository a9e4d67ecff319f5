"""A record: the result of one configuration that was tried, and all that is known about it."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from statistics import median

from chameleon_ray.space import Config

LONGEST_ERROR = 300
"""Most characters of an error in a record; compilers' reports have tens of thousands."""
DEFAULT: Config = ()
"""Configuration of a task's default schedule, which is TVM's untuned one."""
DISTURBED = "disturbed"
"""Condition of a timing on a CPU: share of its time in which something else had its cores."""


class Status(StrEnum):
    """Endings of a measurement; only ``ok`` carries latencies."""

    OK = "ok"
    INVALID = "invalid"
    BUILD_ERROR = "build_error"
    BUILD_TIMEOUT = "build_timeout"
    RUN_ERROR = "run_error"
    RUN_TIMEOUT = "run_timeout"
    CRASH = "crash"
    WRONG_ANSWER = "wrong_answer"


@dataclass(frozen=True)
class Record:
    """One configuration of one task, tried once.

    Attributes:
        task: The task's digest.
        target: TVM target, as JSON.
        device: Device that it was timed on.
        config: One choice index per knob; empty for the default schedule.
        values: The knobs' values by name, as JSON.
        status: How it ended.
        latencies: Seconds of one execution, one entry per repeat; empty unless ``ok``.
        explore_seconds: This configuration's share of the search that proposed it.
        build_seconds: Time of compiling.
        run_seconds: Time of loading and timing.
        plan: The task's round of search that proposed it; 0 is the first, random one.
        sequence: Number within the run, from 0, in order of completion.
        finished: Seconds since the run began, over all its sessions.
        error: Why it failed, in words; empty if it did not.
        resources: Registers, shared memory and occupancy of a GPU's kernels, as JSON; empty on a
            CPU.
        conditions: The GPU's clocks and temperature as it was timed, the share of the time in which
            something else had a CPU's cores (``disturbed``), and the factor that the latencies were
            multiplied by (``calibration``), as JSON; empty where there is nothing to say.
        origin: Where it was measured: ``store`` where another run did; empty where this run did.
        chosen_by: What chose it (``tuner.py`` has the names); empty where that is not known.
    """

    task: str
    target: str
    device: str
    config: Config
    values: str
    status: Status
    latencies: tuple[float, ...] = field(default=())
    explore_seconds: float = 0.0
    build_seconds: float = 0.0
    run_seconds: float = 0.0
    plan: int = 0
    sequence: int = 0
    finished: float = 0.0
    error: str = ""
    resources: str = ""
    conditions: str = ""
    origin: str = ""
    chosen_by: str = ""

    @cached_property
    def latency(self) -> float:
        """Median of the repeats in seconds; infinite unless ``ok``."""
        return median(self.latencies) if self.status is Status.OK else float("inf")

    @property
    def spread(self) -> float:
        """Difference of the longest and the shortest repeat over the latency; 0 without any."""
        return (max(self.latencies) - min(self.latencies)) / self.latency if self.latencies else 0.0

    @cached_property
    def disturbed(self) -> float:
        """Share of the time of its timing in which something else had its cores; mostly 0."""
        found = json.loads(self.conditions).get(DISTURBED, 0.0) if self.conditions else 0.0
        return float(found)


def own(records: Iterable[Record]) -> list[Record]:
    """Returns the records that the run measured itself."""
    return [record for record in records if not record.origin]
