"""Transfer: teaches a task with the records and agents of other tasks.

Other tasks are those of the same run and of earlier runs. A task learns only from tasks of its own
kind, which have the same operators. It learns only about the knobs that it has, too.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from chameleon_ray.options import Transferring
from chameleon_ray.record import Record
from chameleon_ray.search.agreement import agreement, turns
from chameleon_ray.search.cost_model import Lessons, informative
from chameleon_ray.search.explorer import Agent
from chameleon_ray.search.representatives import representatives
from chameleon_ray.search.unit_box import UnitBox
from chameleon_ray.space import Config, DesignSpace
from chameleon_ray.task import Task
from chameleon_ray.vendor import is_searched


class Transfer:
    """Records and agents that the tasks of a run share; its tuners have one together."""

    def __init__(self, options: Transferring) -> None:
        self.options = options
        self._records: dict[str, dict[str, list[Record]]] = defaultdict(lambda: defaultdict(list))
        self._agents: dict[tuple, tuple[str, Agent]] = {}
        self._translated: dict[tuple[str, str], list[np.ndarray]] = defaultdict(list)

    def learn(self, kind: str, records: Iterable[Record]) -> None:
        """Notes the records of tasks of one kind."""
        for record in records:
            known = self._records[kind][record.task]
            if is_searched(record.config) and len(known) < self.options.rows:
                known.append(record)

    def lessons(self, task: Task) -> Lessons | None:
        """Returns records of the most tried tasks of the same kind; None where there are none."""
        known, chosen = self._records[task.kind], self._teachers(task)
        if not chosen:
            return None
        features = [self._features(task, other, known[other]) for other in chosen]
        fitness = [_fitness(known[other]) for other in chosen]
        return Lessons(np.concatenate(features), np.concatenate(fitness))

    def suggestions(self, task: Task, measured: Sequence[Record] = ()) -> list[Config]:
        """Returns configurations of other tasks of the same kind that a task has, too.

        Of each teacher they are the representatives, in order. Teachers take turns, those more
        often that agree with what was measured.

        Args:
            task: The task to be taught.
            measured: The task's own records.
        """
        teachers = self._teachers(task)
        found = [self._suggested(task, self._records[task.kind][one]) for one in teachers]
        return list(dict.fromkeys(turns(found, self._agreements(task, teachers, measured))))

    def keep_agent(self, task: Task, agent: Agent) -> None:
        """Notes the agent of a task's explorer."""
        if agent:
            self._agents[_world(task)] = (task.digest, agent)

    def agent(self, task: Task) -> Agent:
        """Returns the agent of another task with the same axes; empty where there is none."""
        other, agent = self._agents.get(_world(task), (task.digest, {}))
        return agent if other != task.digest else {}

    def _teachers(self, task: Task) -> list[str]:
        """Returns the most tried tasks of the same kind."""
        known = self._records[task.kind]
        teachers = [other for other in known if other != task.digest and _succeeded(known[other])]
        teachers.sort(key=lambda other: (-len(known[other]), other))
        return teachers[: self.options.tasks]

    def _agreements(
        self, task: Task, teachers: Sequence[str], measured: Sequence[Record]
    ) -> list[int]:
        """Returns how far each teacher agrees with a task's own records."""
        tried = [record for record in measured if is_searched(record.config)]
        if len(tried) < 2 or len(teachers) < 2:
            return [0] * len(teachers)
        box, known = UnitBox.of(task.space), self._records[task.kind]
        points, fitness = box(np.array([record.config for record in tried])), _fitness(tried)
        return [
            agreement(
                points,
                fitness,
                box.points(self._features(task, one, known[one])),
                _fitness(known[one]),
            )
            for one in teachers
        ]

    def _suggested(self, task: Task, records: list[Record]) -> list[Config]:
        pairs = [(record, task.space.config(json.loads(record.values))) for record in records]
        known = [(record, config) for record, config in pairs if config is not None]
        if not known:
            return []
        configs = np.array([config for _, config in known])
        fitness = _fitness([record for record, _ in known])
        order = representatives(configs, fitness)
        return [known[row][1] for row in order if fitness[row] >= self.options.worthwhile]

    def _features(self, task: Task, other: str, records: list[Record]) -> np.ndarray:
        """Expresses another task's records in a task's space, as ``(n, features)``."""
        rows = self._translated[task.digest, other]
        rows += [translated(task.space, record.values) for record in records[len(rows) :]]
        return np.stack(rows)


def instructive(records: Sequence[Record], count: int, rng: np.random.Generator) -> list[Record]:
    """Chooses the records of a task that teach others most: representatives, and informative ones.

    Args:
        records: Records of one task and one space.
        count: Most records to choose.
        rng: Draws the records that are not among the best.
    """
    tried = [record for record in records if is_searched(record.config)]
    if not tried:
        return []
    fitness = _fitness(tried)
    first = representatives(np.array([record.config for record in tried]), fitness)[: count // 2]
    rows = dict.fromkeys([*first, *informative(fitness, count - len(first), rng)])
    return [tried[row] for row in rows]


def translated(space: DesignSpace, values: str) -> np.ndarray:
    """Returns the ``(features,)`` float32 of a record's knob values; NaN for knobs they lack."""
    named = json.loads(values)
    return np.concatenate(
        [
            knob.featurise(named[knob.name])
            if knob.name in named
            else np.full(knob.features.shape[1], np.nan, dtype=np.float32)
            for knob in space.knobs
        ]
    )


def _succeeded(records: list[Record]) -> bool:
    return any(record.latencies for record in records)


def _fitness(records: list[Record]) -> np.ndarray:
    latencies = np.array([record.latency for record in records])
    best = min(latencies.min(), np.finfo(float).max)  # where none worked
    return best / latencies


def _world(task: Task) -> tuple:
    """Returns a key that is equal for tasks whose policies have the same shape and meaning."""
    return task.kind, tuple((knob.name, knob.axes) for knob in task.space.knobs)
