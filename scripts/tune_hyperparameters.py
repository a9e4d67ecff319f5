"""Tunes the search's own hyper-parameters on recorded spaces, with evidence for the values.

    python scripts/tune_hyperparameters.py --group gaussian --trials 24 --out DIR

A trial is one setting of a group of ``options/search.py``; Ray Tune draws the settings and stops
those that fall behind (ASHA). In each round a trial searches one table with one seed, as
``chameleon replay`` does; all trials have the same rounds in the same order. Its quality is the
mean, over rounds and over measurements, of the optimum's latency over the best one so far. The
first trial is the default. What won is then compared with the default on tables and seeds that no
trial has seen.
"""

import argparse
import json
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
from ray import tune
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.basic_variant import BasicVariantGenerator

from chameleon_ray.api.replay import destinations, replay
from chameleon_ray.cluster import ray_session
from chameleon_ray.errors import UserError
from chameleon_ray.measure.cores import available
from chameleon_ray.options import Search
from chameleon_ray.replay.table import Table, read_table
from chameleon_ray.report.summary import write_text

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "tests" / "data"
LEARNT = tuple(DATA / f"{name}.parquet" for name in ("alexnet-4", "resnet-9", "vgg-1", "vgg-4"))
HELD_OUT = tuple(
    DATA / f"{name}.parquet" for name in ("alexnet-1", "resnet-11", "resnet-6", "vgg-2")
)
"""Recorded layers of Chameleon's Table 5: those that trials search, and those kept back."""
QUIET = {
    "OMP_NUM_THREADS": "1",
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
}
Values = Mapping[str, Any]
"""Hyper-parameters by name; a dot leads into a part of ``Search``."""

GROUPS: dict[str, dict[str, list]] = {
    "plans": {"first_plan": [8, 12, 16, 24], "small_plan": [2, 4, 8]},
    "gaussian": {
        "gaussian.scale": [0.61, 1.0, 1.65],
        "gaussian.spread": [0.3, 0.5, 0.8],
        "gaussian.noise": [1e-4, 1e-3, 1e-2],
        "gaussian.doubtful": [0.6, 0.8, 0.95],
    },
    "sampling": {
        "sampling.candidates": [16, 32, 64],
        "sampling.epsilon": [0.0, 0.05, 0.15],
        "sampling.leaders": [True, False],
    },
    "ppo": {
        "ppo.learning_rate": [3e-4, 1e-3, 3e-3],
        "ppo.entropy_coefficient": [0.01, 0.03, 0.1],
        "ppo.walkers": [32, 64, 128],
        "ppo.steps": [50, 100, 200],
        "ppo.updates": [1, 2, 5],
    },
}
"""What can be tuned together; the choices of each."""
BASES = {"ppo": Search(exhaustive=0)}
"""What a group's values are put into, where that is not the default search."""


@dataclass(frozen=True, eq=False)
class Job:
    """What all trials have in common.

    Attributes:
        base: The search whose values are replaced.
        tables: Searched in turn.
        seeds: Of the searches; all tables with the first, then with the next.
        measurements: Of each search.
    """

    base: Search
    tables: tuple[Table, ...]
    seeds: tuple[int, ...]
    measurements: int

    @property
    def rounds(self) -> list[tuple[Table, int]]:
        return [(table, seed) for seed, table in product(self.seeds, self.tables)]

    def quality(self, values: Values, table: Table, seed: int) -> float:
        """Of one round, between 0 and 1."""
        result = replay(table, replaced(self.base, values), self.measurements, [seed])
        return float(np.mean(table.optimum / result.runs[0].curve))


def replaced(search: Search, values: Values) -> Search:
    """A search with some of its values replaced."""
    for name, value in values.items():
        part, _, field = name.rpartition(".")
        inner = replace(getattr(search, part), **{field: value}) if part else value
        search = replace(search, **{part or field: inner})
    return search


def present(search: Search, names: Sequence[str]) -> dict[str, Any]:
    """A search's own values."""
    found = {}
    for name in names:
        part, _, field = name.rpartition(".")
        found[name] = getattr(getattr(search, part) if part else search, field)
    return found


class Trial(tune.Trainable):
    """One setting; every step is a round."""

    def setup(self, config: dict, job: Job | None = None) -> None:
        assert job is not None
        self.job, self.qualities = job, []

    def reset_config(self, new_config: dict) -> bool:
        self.qualities = []
        return True

    def step(self) -> dict:
        table, seed = self.job.rounds[len(self.qualities)]
        self.qualities.append(self.job.quality(self.config, table, seed))
        done = len(self.qualities) == len(self.job.rounds)
        return {"quality": mean(self.qualities), "done": done}

    def save_checkpoint(self, checkpoint_dir: str) -> dict:
        return {"qualities": self.qualities}

    def load_checkpoint(self, checkpoint: dict) -> None:
        self.qualities = checkpoint["qualities"]


def trials_of(job: Job, group: str, count: int, seed: int, folder: Path) -> list[dict]:
    """Has Ray Tune try settings of a group, the default first.

    Returns:
        Values, rounds and mean quality of each; those with the most rounds first, of these the
        best.
    """
    choices = GROUPS[group]
    drawn = BasicVariantGenerator(
        points_to_evaluate=[present(job.base, list(choices))], random_state=seed
    )
    rounds, tables = len(job.rounds), len(job.tables)
    scheduler = ASHAScheduler(max_t=rounds, grace_period=min(tables, rounds), reduction_factor=2)
    tuner = tune.Tuner(
        tune.with_resources(tune.with_parameters(Trial, job=job), {"cpu": 1}),
        param_space={name: tune.choice(values) for name, values in choices.items()},
        tune_config=tune.TuneConfig(
            metric="quality",
            mode="max",
            num_samples=count,
            search_alg=drawn,
            scheduler=scheduler,
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(name=group, storage_path=str(folder.resolve()), verbose=0),
    )
    found = [
        {
            "values": {name: result.config[name] for name in choices},
            "rounds": result.metrics["training_iteration"],
            "quality": result.metrics["quality"],
        }
        for result in tuner.fit()
        if result.error is None and result.metrics and result.config
    ]
    return sorted(found, key=lambda one: (-one["rounds"], -one["quality"]))


def compared(job: Job, default: Values, chosen: Values) -> dict:
    """Both on the same rounds: mean qualities, and the mean difference with its standard error."""
    before = [job.quality(default, table, seed) for table, seed in job.rounds]
    after = [job.quality(chosen, table, seed) for table, seed in job.rounds]
    gains = [late - early for early, late in zip(before, after, strict=True)]
    error = stdev(gains) / len(gains) ** 0.5 if len(gains) > 1 else None
    return {
        "rounds": len(gains),
        "default": mean(before),
        "chosen": mean(after),
        "gain": mean(gains),
        "standard_error": error,
        "better": error is not None and mean(gains) > 2 * error,
    }


def main() -> None:
    """Tunes one group of hyper-parameters and writes what came of it."""
    arguments = parse()
    try:
        destinations(None, arguments.out / "chosen.json", ())
        job = Job(
            BASES.get(arguments.group, Search()),
            tuple(map(read_table, arguments.tables)),
            tuple(range(arguments.seeds)),
            arguments.measurements,
        )
        body = tuned(job, arguments)
    except (UserError, ray_session.SessionError) as error:
        raise SystemExit(f"Error: {error}") from error
    text = json.dumps(body, indent=2, allow_nan=False)
    write_text(arguments.out / "chosen.json", text + "\n")
    shown = {name: body[name] for name in ("default", "chosen", "trials_made", "held_out")}
    print(json.dumps(shown, indent=2))


def tuned(job: Job, arguments: argparse.Namespace) -> dict:
    """The whole of it: trials, then the comparison on what no trial has seen."""
    default = present(job.base, list(GROUPS[arguments.group]))
    unseen = replace(
        job,
        tables=tuple(map(read_table, arguments.held_out)),
        seeds=tuple(range(1000, 1000 + arguments.held_out_seeds)),
    )
    with ray_session.start(None, arguments.processes):
        found = trials_of(job, arguments.group, arguments.trials, arguments.seed, arguments.out)
        if not found:
            raise UserError(f"Every trial failed; Ray's logs are in {arguments.out}.")
        chosen = found[0]["values"]
        print(f"chosen: {chosen}; now on tables and seeds that are new to it", file=sys.stderr)
        return {
            "group": arguments.group,
            "measurements": job.measurements,
            "tables": [table.name for table in job.tables],
            "seeds": list(job.seeds),
            "default": default,
            "chosen": chosen,
            "trials_made": len(found),
            "trials": found,
            "held_out": {"tables": [table.name for table in unseen.tables]}
            | compared(unseen, default, chosen),
        }


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--group", choices=GROUPS, default="gaussian", help="what is tuned")
    parser.add_argument("--tables", type=Path, nargs="+", default=LEARNT, help="that trials search")
    parser.add_argument("--held-out", type=Path, nargs="+", default=HELD_OUT, help="kept back")
    parser.add_argument("--trials", type=int, default=24, help="settings tried, the default too")
    parser.add_argument("--measurements", type=int, default=100, help="of a search")
    parser.add_argument("--seeds", type=int, default=3, help="of each table")
    parser.add_argument("--held-out-seeds", type=int, default=5, help="of each table kept back")
    parser.add_argument("--seed", type=int, default=0, help="of the settings drawn")
    parser.add_argument("--processes", type=int, default=len(available()), help="trials at once")
    parser.add_argument(
        "--out", type=Path, default=Path("runs/hyperparameters"), help="for results"
    )
    arguments = parser.parse_args()
    for name in ("trials", "measurements", "seeds", "held_out_seeds", "processes"):
        if getattr(arguments, name) < 1:
            parser.error(f"--{name.replace('_', '-')} must be at least 1")
    try:
        arguments.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        parser.error(f"--out {arguments.out}: cannot write there: {error.strerror}")
    return arguments


if __name__ == "__main__":
    os.environ |= QUIET
    logging.getLogger("ray.tune").setLevel(logging.ERROR)  # it misses files nobody asked for
    main()
