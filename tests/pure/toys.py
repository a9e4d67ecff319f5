"""Toy builders and runners, so that search and engines are tested without a compiler.

A toy kernel is its configuration; its latency is a known-answer landscape's. The real algorithms
are imported where they are made, so that an actor loads only its own.
"""

import hashlib
import os
import pickle
import signal
import time
from dataclasses import dataclass, field

import numpy as np

from chameleon_ray.measure.measurer import Artifact, Finalist, Timing
from chameleon_ray.options import Search
from chameleon_ray.record import DEFAULT, Status
from chameleon_ray.task import Task
from tests.pure.landscape import Landscape, convolution, sketched, tiny

LANDSCAPES = {"convolution": convolution, "sketched": sketched, "tiny": tiny}


def task(name: str, weight: int = 1, flop: float = 1e9) -> Task:
    """A task on one of the landscapes; ``name`` begins with the landscape's."""
    space = LANDSCAPES[name.partition("-")[0]]().space
    digest = hashlib.sha256(name.encode()).hexdigest()[:16]
    return Task(name, digest, '{"kind": "toy"}', weight, flop, space, name.encode())


def landscape_of(one: Task) -> Landscape:
    return LANDSCAPES[one.name.partition("-")[0]]()


class ToyBuilder:
    """Builds everything but every ``invalid``-th configuration."""

    def __init__(self, invalid: int = 0) -> None:
        self.invalid = invalid

    def build(self, one: Task, config: tuple[int, ...]) -> Artifact:
        if self.invalid and config and sum(config) % self.invalid == 0:
            return Artifact(status=Status.INVALID, error="turned down")
        return Artifact(pickle.dumps(config), seconds=0.001)


@dataclass
class ToyRunner:
    """Times by the landscape; can be told to say that some configuration is wrong, or to die.

    Attributes:
        wrong: Configurations whose output is wrong.
        fatal: A file; the runner kills itself once for every line in it.
        pause: Seconds every run takes.
    """

    wrong: tuple[tuple[int, ...], ...] = ()
    fatal: str = ""
    pause: float = 0.0
    runs: list = field(default_factory=list)

    def run(self, one: Task, artifact: Artifact, best: float) -> Timing:
        time.sleep(self.pause)
        self._die()
        config = pickle.loads(artifact.code)
        self.runs.append((one.name, config))
        return Timing((self.latency(one, config),), Status.OK, 0.001, 0.001, "toy")

    def contest(self, one: Task, artifacts, options) -> tuple[Finalist, ...]:
        configs = [pickle.loads(artifact.code) for artifact in artifacts]
        return tuple(
            Finalist((self.latency(one, c),), 0.0, 0.0, c not in self.wrong) for c in configs
        )

    @staticmethod
    def latency(one: Task, config: tuple[int, ...]) -> float:
        if config == DEFAULT:
            return 0.1
        return 0.001 / float(landscape_of(one)(np.array([config]))[0])

    def _die(self) -> None:
        if self.fatal and os.path.getsize(self.fatal):
            with open(self.fatal, "r+") as file:
                file.truncate(os.path.getsize(self.fatal) - 1)
            os.kill(os.getpid(), signal.SIGKILL)


def explorer(search: Search):
    from chameleon_ray.search.annealing import AnnealingExplorer

    return AnnealingExplorer(search.annealing, search.sampling.candidates)


def cost_model(search: Search):
    from chameleon_ray.search.boosting import XGBoostCostModel

    return XGBoostCostModel(search.boosting)


def sampler(search: Search):
    from chameleon_ray.search.adaptive import AdaptiveSampler

    return AdaptiveSampler(search.sampling)


def searcher(search: Search):
    from chameleon_ray.search.searcher import Searcher

    return Searcher(cost_model(search), explorer(search), sampler(search))
