"""The search systems that the benchmark compares: the presets, and systems that differ in one part.

``sa``, ``sa+as``, ``rl`` and ``rl+as`` are those of Chameleon's section 5.2: simulated annealing or
PPO, each with greedy or with adaptive sampling, with the explorers' settings of its Tables 7 to 9.
Plans are small enough for a few hundred measurements. ``chameleon-...`` is the default preset with
one part replaced.
"""

from dataclasses import replace

from chameleon_ray.options import Sampling, Search
from chameleon_ray.presets import PAPER, PRESETS

OURS = PRESETS["chameleon"]
SA = replace(
    PAPER,
    explorer="annealing",
    sampler="greedy",
    first_plan=16,
    plan=16,
    sampling=Sampling(clusters=(8, 12, 16)),
)
ABLATION: dict[str, Search] = {
    "sa": SA,
    "sa+as": replace(SA, sampler="adaptive"),
    "rl": replace(SA, explorer="ppo"),
    "rl+as": replace(SA, explorer="ppo", sampler="adaptive"),
}
PARTS: dict[str, Search] = {
    "chameleon-boosting": replace(OURS, cost_model="boosting"),
    "chameleon-ppo": replace(OURS, exhaustive=0),
    "chameleon-greedy": replace(OURS, sampler="greedy"),
    "chameleon-annealing": replace(OURS, explorer="annealing", exhaustive=0),
    "chameleon-random": replace(OURS, explorer="random", exhaustive=0),
}
SYSTEMS: dict[str, Search] = PRESETS | ABLATION | PARTS
QUICK = ("chameleon", "autotvm", "alt", "sa", "sa+as", "chameleon-ppo")
