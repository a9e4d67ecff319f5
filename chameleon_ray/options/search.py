"""Defaults of the search of one layer."""

from dataclasses import dataclass


@dataclass(frozen=True)
class PPO:
    """Proximal policy optimisation over the cost model (Chameleon Tables 7 and 9)."""

    walkers: int = 128
    """Start configurations walked from at once (the paper's ``episode_rl``)."""
    steps: int = 500
    """Moves of each walker in one plan (the paper's ``step_rl``)."""
    updates: int = 5
    """Policy updates in one plan; the moves are shared equally between them."""
    learning_rate: float = 1e-3
    discount: float = 0.9
    gae_lambda: float = 0.99
    epochs: int = 3
    clip: float = 0.3
    value_coefficient: float = 1.0
    entropy_coefficient: float = 0.1
    minibatch: int = 1600
    """Transitions per gradient step; the paper does not give one."""
    hidden: tuple[int, ...] = (64, 64)
    """Units of the tanh layers shared by policy and value."""
    reward: str = "fitness"
    """What a predicted fitness is worth to the policy: itself, or ``penalty9``."""


@dataclass(frozen=True)
class Annealing:
    """Simulated annealing over the cost model (AutoTVM; Chameleon Table 8)."""

    chains: int = 128
    steps: int = 500
    temperature: tuple[float, float] = (1.0, 0.0)
    """At the first and the last step."""
    patience: int = 50
    """Steps without a new candidate after which it ends."""


@dataclass(frozen=True)
class RandomWalk:
    """Uniform candidates, ranked by the cost model."""

    candidates: int = 4096


@dataclass(frozen=True)
class Boosting:
    """The XGBoost cost model: throughput over the task's best, from knob features."""

    rounds: int = 150
    depth: int = 6
    learning_rate: float = 0.15
    min_child_weight: float = 1.0
    split_gain: float = 0.0
    """Least reduction of the loss that a split is made for (XGBoost's ``gamma``)."""
    shrinkage: float = 1.0
    """Weight of the squared leaf values in the loss (XGBoost's ``lambda``)."""
    row_share: float = 0.9
    column_share: float = 0.7
    """Shares of the records and of the features that each tree sees."""
    recall: int | None = None
    """N of the training metric a-recall@N that ends the fit early; no early end where None."""
    patience: int = 20
    """Rounds without a better a-recall after which the fit ends."""


@dataclass(frozen=True)
class PingPong:
    """ALT's filter and its predictors of score and of uncertainty."""

    samples: int = 8
    """Least working and least failed configurations that the filter is learnt from."""
    validity: float = 0.5
    """Configurations that are less likely than this to work are turned down."""
    batches: int = 2
    """Latest plans on whose errors the uncertainty is learnt."""


@dataclass(frozen=True)
class Gaussian:
    """The Gaussian-process cost model: expected improvement of fitness."""

    rows: int = 256
    """Most records learnt from: half of them the best, half drawn from the rest."""
    scale: float = 1.0
    spread: float = 0.5
    """Median of the length scales' log-normal prior, and its logarithm's deviation."""
    amplitudes: tuple[float, float] = (0.05, 20.0)
    """Bounds of the signal's variance over the fitnesses'."""
    noise: float = 1e-3
    noises: tuple[float, float] = (1e-6, 0.3)
    """Variance of the noise, over the fitnesses', that the fit begins with, and its bounds."""
    doubtful: float = 0.8
    """A configuration less likely to work than this times the share that did is turned down."""
    filter: Boosting = Boosting(rounds=60, depth=5, min_child_weight=0.2)
    prior: Boosting = Boosting(rounds=60, depth=5)
    """Of what works, and of what other tasks teach."""


@dataclass(frozen=True)
class Sampling:
    """Choosing what to measure among the candidates (Chameleon section 4.2)."""

    candidates: int = 64
    """Best candidates the explorer hands over."""
    clusters: tuple[int, ...] = (8, 16, 24, 32, 40, 48, 56, 64)
    """Numbers of clusters tried in turn; as many as may be measured where there are none."""
    threshold: float = 2.5
    """The knee: the first count whose loss times this is no less than the one before."""
    leaders: bool = False
    """Whether the best candidate of a cluster is measured, not what is nearest to its centroid."""
    epsilon: float = 0.05
    """Share of a plan that is drawn at random instead."""
    combinations: int = 512
    """Most combinations of frequent choices looked at in one plan's sample synthesis."""
    diversity: int = 2
    """Candidates per configuration wanted that a pick by diversity is made from."""
    distance: float = 0.5
    """Weight of the distance against the score in active sampling (ALT)."""


@dataclass(frozen=True)
class Transferring:
    """Learning from other tasks of the same kind."""

    tasks: int = 6
    """Most other tasks learnt from."""
    rows: int = 128
    """Most records of each."""
    share: float = 0.5
    """Share of a task's first plan that is chosen by what others taught; the rest is random."""


@dataclass(frozen=True)
class Search:
    """One whole search system."""

    explorer: str = "ppo"
    sampler: str = "adaptive"
    cost_model: str = "gaussian"
    exhaustive: int = 20_000
    """Size of the largest space that is scored whole instead of walked."""
    first_plan: int = 16
    """Random configurations measured before there is a cost model."""
    opening: int = 4
    """As many of them are one plan: soon every layer has a latency, and can teach others."""
    plan: int = 8
    """Most configurations measured in one plan."""
    small_plan: int = 4
    """The same of a space that is scored whole, which costs less than a walk."""
    ppo: PPO = PPO(walkers=64, steps=100, updates=2, minibatch=800)
    annealing: Annealing = Annealing()
    random: RandomWalk = RandomWalk()
    boosting: Boosting = Boosting()
    gaussian: Gaussian = Gaussian()
    pingpong: PingPong = PingPong()
    sampling: Sampling = Sampling(candidates=32, clusters=(), leaders=True)
    transfer: Transferring | None = Transferring()
    """What tasks learn from each other; nothing where None."""
