"""AutoTVM's simulated annealing over the cost model."""

import heapq

import numpy as np

from chameleon_ray.options import Annealing
from chameleon_ray.search.explorer import Agent, Score, Trail
from chameleon_ray.space import DesignSpace

COLDEST = 1e-5
"""Number added to the temperature, which may be 0 (as in AutoTVM)."""


class AnnealingExplorer:
    """Parallel annealing chains that continue from plan to plan.

    This is AutoTVM's ``SimulatedAnnealingOptimizer``, except that candidates of negative score are
    kept: a regression may be below 0 anywhere.
    """

    def __init__(self, options: Annealing, count: int) -> None:
        self.options = options
        self.count = count

    def explore(
        self,
        space: DesignSpace,
        score: Score,
        seen: np.ndarray,
        agent: Agent,
        rng: np.random.Generator,
    ) -> Trail:
        """Explores for one plan; see ``Explorer``. The agent holds the chains' ``places``."""
        # Places, not choices: the agent may come from another task, with other extents.
        points = space.nearest(agent["places"]) if agent else space.random(rng, self.options.chains)
        values = score(points)
        shortlist = Shortlist(self.count, seen)
        shortlist.offer(points, values)
        queries, idle = len(points), 0
        for temperature in np.linspace(*self.options.temperature, self.options.steps):
            proposals = space.mutate(rng, points)
            proposed = score(proposals)
            queries += len(proposals)
            idle = 0 if shortlist.offer(proposals, proposed) else idle + 1
            # The gain is cut to 1 first: at low temperature the exponential would overflow.
            gain = np.minimum((proposed - values) / (temperature + COLDEST), 1.0)
            accepted = rng.random(len(points)) < np.exp(gain)
            points = np.where(accepted[:, None], proposals, points)
            values = np.where(accepted, proposed, values)
            if idle >= self.options.patience:
                break
        configs, scores = shortlist.ranked(len(space.knobs))
        return Trail(configs, scores, {"places": space.coordinates(points)}, queries)


class Shortlist:
    """The best ``count`` distinct configurations offered so far that are not in ``seen``."""

    def __init__(self, count: int, seen: np.ndarray) -> None:
        self.count = count
        self._heap: list[tuple[float, int, bytes]] = []
        # What was once on the heap stays barred: if it was pushed off, its score is too low.
        self._barred = {row.tobytes() for row in seen.astype(np.int64)}

    def offer(self, configs: np.ndarray, scores: np.ndarray) -> bool:
        """Takes ``(n, knobs)`` canonical configurations; returns whether any came on the list."""
        full = len(self._heap) == self.count
        rows = np.flatnonzero(scores > (self._heap[0][0] if full else -np.inf))
        return any([self._take(configs[row].tobytes(), float(scores[row])) for row in rows])

    def _take(self, config: bytes, score: float) -> bool:
        if config in self._barred:
            return False
        # Earlier arrivals win ties.
        entry = (score, -len(self._barred), config)
        if len(self._heap) < self.count:
            heapq.heappush(self._heap, entry)
        elif entry > self._heap[0]:
            heapq.heapreplace(self._heap, entry)
        else:
            return False
        self._barred.add(config)
        return True

    def ranked(self, knobs: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns the ``(n, knobs)`` configurations and their ``(n,)`` scores, best first."""
        ranked = sorted(self._heap, reverse=True)
        configs = np.frombuffer(b"".join(config for _, _, config in ranked), dtype=np.int64)
        return configs.reshape(-1, knobs).copy(), np.array([score for score, _, _ in ranked])
