"""Whole search systems by name: ours, and those of the papers."""

from dataclasses import replace

from chameleon_ray.options import PPO, Boosting, Sampling, Search

AUTOTVM = Boosting(
    rounds=8000,
    depth=3,
    learning_rate=0.3,
    split_gain=1e-4,
    row_share=1.0,
    column_share=1.0,
    recall=64,
)
"""The cost model of AutoTVM's ``XGBTuner``, which Chameleon and ReLeASE use, too."""

PAPER = Search(
    cost_model="boosting",
    exhaustive=0,
    first_plan=64,
    opening=64,
    plan=64,
    ppo=PPO(),
    boosting=AUTOTVM,
    sampling=Sampling(),
    transfer=None,
)
PRESETS: dict[str, Search] = {
    "chameleon": Search(),
    "chameleon-paper": PAPER,
    "autotvm": replace(
        PAPER, explorer="annealing", sampler="diversity", sampling=Sampling(candidates=128)
    ),
    "release": replace(PAPER, sampler="release", sampling=Sampling(candidates=128)),
    "alt": replace(
        PAPER,
        explorer="annealing",
        sampler="active",
        cost_model="pingpong",
        boosting=Boosting(),
        sampling=Sampling(candidates=640),
    ),
    "penalty9": replace(
        Search(),
        cost_model="boosting",
        exhaustive=0,
        ppo=replace(Search().ppo, reward="penalty9"),
        transfer=None,
    ),
}
"""Search systems by name: those of the papers, and ``chameleon`` for runs of minutes."""
