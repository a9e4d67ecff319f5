"""One task's loop, ask and tell: ``propose`` a batch of configurations, ``observe`` their records.

Explore, sample, (measure,) fit: Chameleon, Figure 3. The cost model is fitted afresh from the
records at each plan, so the records and the agent are the whole state and a tuner that is given
them goes on where another one stopped.
"""

from collections.abc import Sequence

import numpy as np

from chameleon_ray.options import Search
from chameleon_ray.record import DEFAULT, Record
from chameleon_ray.search.cost_model import Experience
from chameleon_ray.search.explorer import Agent
from chameleon_ray.search.random_walk import random_unseen
from chameleon_ray.search.system import SearchSystem
from chameleon_ray.space import Config, as_configs
from chameleon_ray.task import Task


class Tuner:
    """Searches one task's design space.

    Attributes:
        records: All that is known about the task, in order.
        plan: Number of the next round of search.
        agent: What the explorer wants back; empty at first.
        exhausted: Nothing is left to propose.
    """

    def __init__(self, task: Task, system: SearchSystem, options: Search, seed: int) -> None:
        self.task, self.system, self.options, self.seed = task, system, options, seed
        self.records: list[Record] = []
        self.plan = 0
        self.agent: Agent = {}
        self.exhausted = False

    async def propose(self) -> list[Config]:
        """The next plan's batch; empty where the whole space has been tried."""
        space, seen = self.task.space, self._seen()
        fit_rng, explore_rng, sample_rng = self._rng().spawn(3)
        if not self._learnable():
            batch = random_unseen(space, seen, self.options.first_plan, sample_rng)
        else:
            score = await self.system.fit(space, self._known(), fit_rng)
            trail = await self.system.explore(space, score, seen, self.agent, explore_rng)
            self.agent = trail.agent
            batch = await self.system.select(space, trail, seen, self.options.plan, sample_rng)
        self.plan += 1
        self.exhausted = len(batch) == 0
        known = not self.task.has_default or any(r.config == DEFAULT for r in self.records)
        return ([] if known else [DEFAULT]) + as_configs(batch)

    def observe(self, records: Sequence[Record]) -> None:
        """Learns of configurations that were tried: this tuner's, or an earlier session's."""
        self.records += records
        self.plan = max([self.plan, *(record.plan + 1 for record in records)])

    @property
    def best(self) -> Record | None:
        """The fastest record, the default schedule's included; None before the first success."""
        fastest = min(self.records, key=lambda record: record.latency, default=None)
        return fastest if fastest is not None and fastest.latencies else None

    @property
    def best_latency(self) -> float:
        """Seconds; infinite before the first success."""
        return self.best.latency if self.best is not None else float("inf")

    def _learnable(self) -> bool:
        return any(record.latencies and record.config != DEFAULT for record in self.records)

    def _tried(self) -> list[Record]:
        return [record for record in self.records if record.config != DEFAULT]

    def _seen(self) -> np.ndarray:
        """``(n, knobs)`` configurations of the records, the default left out."""
        configs = [record.config for record in self._tried()]
        return np.array(configs, dtype=np.int64).reshape(len(configs), len(self.task.space.knobs))

    def _known(self) -> Experience:
        latencies = np.array([record.latency for record in self._tried()])
        plans = np.array([record.plan for record in self._tried()])
        return Experience(self._seen(), np.min(latencies) / latencies, plans)

    def _rng(self) -> np.random.Generator:
        """Depends on the plan only, so a resumed run draws what an unbroken one would."""
        return np.random.default_rng([self.seed, int(self.task.digest, 16), self.plan])
