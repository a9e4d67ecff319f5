"""The search of one task, by ask and tell: ``propose`` configurations, ``observe`` their records.

The loop is that of Chameleon's Figure 3: explore, sample, (measure,) fit. The cost model is fitted
afresh from the records at each plan. So the records and the agent are the whole state: a tuner that
is given them goes on where another one stopped.
"""

from collections.abc import Sequence

import numpy as np

from chameleon_ray.options import Search
from chameleon_ray.record import DEFAULT, Record, own
from chameleon_ray.search.cost_model import Experience
from chameleon_ray.search.exhaustive import walked_by
from chameleon_ray.search.explorer import Agent
from chameleon_ray.search.random_walk import fill
from chameleon_ray.search.selection import Selection, Way
from chameleon_ray.search.system import SearchSystem
from chameleon_ray.space import Config, DesignSpace, as_configs, unseen
from chameleon_ray.task import Task
from chameleon_ray.transfer import Transfer
from chameleon_ray.vendor import is_searched, library_of, vendor_config

FIRST_PLANS = "first plans"
NOTHING = "nothing"
STORED = "earlier runs"
BY_DEFAULT, BY_VENDOR, BY_OTHERS = "default schedule", "vendor", "other runs"
BY_LESSONS = "other layers"
"""What chose a configuration, beside the explorer, ``SCORED_WHOLE`` and the sampler's ways."""


def searched_by(space: DesignSpace, records: Sequence[Record], options: Search) -> str:
    """Tells what chose the configurations of a task that were measured.

    Args:
        space: Design space of the task.
        records: Records of the task.
        options: Settings of the search.

    Returns:
        The explorer's name, or ``SCORED_WHOLE`` where the space was too small for it;
        ``FIRST_PLANS`` where no plan had a cost model, ``STORED`` where other runs measured all of
        them, and ``NOTHING`` where there was no choice or none was measured.
    """
    tried = [record for record in records if is_searched(record.config)]
    if not space.knobs or not tried:
        return NOTHING
    if not own(tried):
        return STORED
    last = max(record.plan for record in tried)
    known = [record for record in tried if record.plan < last]
    if len(known) < options.first_plan or not any(record.latencies for record in known):
        return FIRST_PLANS
    return walked_by(space, options.exhaustive, options.explorer)


class Tuner:
    """Searches one task's design space.

    Attributes:
        records: All records of the task, in order.
        plan: Number of the next plan, a round of the search.
        agent: State that the explorer is given back at the next plan; empty at first.
        exhausted: Whether nothing is left to propose.
        libraries: Vendor's libraries whose kernels are proposed, too.
        suggested: Configurations from elsewhere that are tried first.
        chosen_by: What chose each configuration of the latest plan.
        before: Seconds that the layer took in an earlier run; None unless it is to be searched only
            where it takes longer now.
    """

    def __init__(
        self,
        task: Task,
        system: SearchSystem,
        options: Search,
        seed: int,
        transfer: Transfer | None = None,
    ) -> None:
        """Makes a tuner that has no records yet.

        Args:
            task: The task to tune.
            system: Cost model, explorer and sampler.
            options: Settings of the search.
            seed: Seed of the whole run.
            transfer: Knowledge of other tasks; None where it may not be used.
        """
        self.task, self.system, self.options, self.seed = task, system, options, seed
        self.transfer = transfer
        self.records: list[Record] = []
        self.plan = 0
        self.agent: Agent = {}
        self.exhausted = False
        self.libraries: tuple[str, ...] = ()
        self.suggested: tuple[Config, ...] = ()
        self.chosen_by: dict[Config, str] = {}
        self.before: float | None = None

    async def propose(self, brief: bool = False) -> list[Config]:
        """Returns the next plan's batch, which begins with the default until that was measured.

        A vendor's kernels come next. The batch has no configuration of the space where the whole of
        it has been tried. It has no others than those of earlier runs as long as these are timed
        again.

        Args:
            brief: Whether a first plan is to be short, as other layers wait for theirs.
        """
        if again := self.again:
            self.plan += 1
            self.chosen_by = self._reasons((), (), opening=False)
            return again
        space, known = self.task.space, self._known()
        seen = known.configs
        opening = self._opening(len(seen), brief and not self.records)
        count = self._taught(opening, known) if opening else self._most()
        *search_rngs, rest_rng = self._rng().spawn(4)
        chosen = await self._selected(known, count, bool(opening), search_rngs)
        batch = chosen.configs
        if opening:
            batch = fill(space, batch, seen, opening, rest_rng)
        self.plan += 1
        vendor = self._vendor()
        self.exhausted = not (len(batch) or vendor)
        first, rest = self._first(), as_configs(batch)
        self.chosen_by = self._reasons(rest, chosen.ways, bool(opening))
        self.chosen_by |= dict.fromkeys(vendor, BY_VENDOR)
        return first + vendor + [config for config in rest if config not in first]

    def observe(self, records: Sequence[Record]) -> None:
        """Learns from configurations that were tried, by this tuner or in an earlier session."""
        self.records += records
        self.plan = max([self.plan, *(record.plan + 1 for record in records)])
        if self.transfer is not None:
            self.transfer.learn(self.task.kind, records)

    def inherit(self, agent: Agent) -> None:
        """Takes over the state of the explorer from an earlier session, or after its last plan."""
        self.agent = agent
        if self.transfer is not None:
            self.transfer.keep_agent(self.task, agent)

    @property
    def again(self) -> list[Config]:
        """What is still to be timed again before it is known whether the layer is searched."""
        return self._first() if self.before is not None else []

    @property
    def best(self) -> Record | None:
        """The fastest record, the default schedule's included; None before the first success."""
        fastest = min(self.records, key=lambda record: record.latency, default=None)
        return fastest if fastest is not None and fastest.latencies else None

    @property
    def best_latency(self) -> float:
        """Latency of ``best`` in seconds; infinite before the first success."""
        return self.best.latency if self.best is not None else float("inf")

    def _reasons(
        self, batch: Sequence[Config], ways: Sequence[Way], opening: bool
    ) -> dict[Config, str]:
        """Returns what chose each configuration of a plan, of which ``batch`` is from the space."""
        walker = walked_by(self.task.space, self.options.exhaustive, self.options.explorer)
        names = {Way.PICKED: BY_LESSONS if opening else walker}
        ways = [*ways, *[Way.RANDOM] * (len(batch) - len(ways))]
        chosen = {c: names.get(way, str(way)) for c, way in zip(batch, ways, strict=True)}
        return chosen | dict.fromkeys(self.suggested, BY_OTHERS) | {DEFAULT: BY_DEFAULT}

    def _vendor(self) -> list[Config]:
        """Returns the next algorithms of every library, as long as one of its last ones ran."""
        proposed, options = list[Config](), self.options
        for library in self.libraries:
            tried = {r.config[2]: r for r in self.records if library_of(r.config) == library}
            last = sorted(tried)[-options.vendor_plan :]
            if not tried or any(tried[algorithm].latencies for algorithm in last):
                left = [n for n in range(options.vendor_algorithms) if n not in tried]
                proposed += [vendor_config(library, n) for n in left[: options.vendor_plan]]
        return proposed

    def _first(self) -> list[Config]:
        """Returns the default and what is suggested, as far as they were not tried."""
        tried = {record.config for record in self.records}
        default = [DEFAULT] if self.task.has_default else []
        return [c for c in dict.fromkeys((*default, *self.suggested)) if c not in tried]

    def _opening(self, tried: int, brief: bool) -> int:
        """Returns the size of the next plan while there is no cost model; 0 once there is one."""
        if brief:
            return self.options.brief
        learnable = any(r.latencies and is_searched(r.config) for r in self.records)
        missing = self.options.first_plan - tried
        if learnable and missing <= 0:
            return 0
        return min(self.options.opening, missing) if missing > 0 else self.options.opening

    def _most(self) -> int:
        """Returns the most configurations measured in a plan that has a cost model."""
        small = self.task.space.size <= self.options.exhaustive
        return self.options.small_plan if small else self.options.plan

    def _taught(self, opening: int, known: Experience) -> int:
        """Returns how many configurations of an opening plan other tasks' lessons choose."""
        if self.transfer is None or known.lessons is None:
            return 0
        return round(self.transfer.options.share * opening)

    async def _selected(
        self, known: Experience, count: int, opening: bool, rngs: Sequence[np.random.Generator]
    ) -> Selection:
        """Selects configurations by the cost model; in an opening, other tasks' come first.

        Args:
            known: What was tried.
            count: Most configurations wanted.
            opening: Whether the cost model has learnt from other tasks only.
            rngs: Generators for cost model, explorer and sampler.
        """
        space, seen = self.task.space, known.configs
        lent = self._suggestions(seen)[:count] if opening else seen[:0]
        ways = (Way.PICKED,) * len(lent)
        if len(lent) == count:
            return Selection(lent, ways)
        seen, (fit_rng, explore_rng, sample_rng) = np.concatenate([seen, lent]), rngs
        score = await self.system.fit(space, known, fit_rng)
        agent = self.agent or self._lent()
        trail = await self.system.explore(space, score, seen, agent, explore_rng)
        self.inherit(trail.agent)
        chosen = await self.system.select(space, trail, seen, count - len(lent), sample_rng)
        return Selection(np.concatenate([lent, chosen.configs]), (*ways, *chosen.ways))

    def _suggestions(self, seen: np.ndarray) -> np.ndarray:
        """Returns the configurations of other tasks that were not tried here."""
        transfer = self.transfer
        found = [] if transfer is None else transfer.suggestions(self.task, self.records)
        return unseen(np.array(found, dtype=np.int64).reshape(len(found), seen.shape[1]), seen)

    def _lent(self) -> Agent:
        return {} if self.transfer is None else self.transfer.agent(self.task)

    def _known(self) -> Experience:
        """Returns the records of the task's space, and what other tasks teach."""
        tried = [record for record in self.records if is_searched(record.config)]
        configs = np.array([record.config for record in tried], dtype=np.int64)
        configs = configs.reshape(len(tried), len(self.task.space.knobs))
        latencies = np.array([record.latency for record in tried])
        plans = np.array([record.plan for record in tried])
        best = min(latencies.min(initial=np.inf), np.finfo(float).max)
        lessons = self.transfer.lessons(self.task) if self.transfer is not None else None
        return Experience(configs, best / latencies, plans, lessons)

    def _rng(self) -> np.random.Generator:
        """Makes a generator for this plan, so a resumed run draws what an unbroken one would."""
        return np.random.default_rng([self.seed, int(self.task.digest, 16), self.plan])
