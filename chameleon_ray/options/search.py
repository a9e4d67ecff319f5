"""Options of the search of one layer, with their defaults."""

from dataclasses import dataclass


@dataclass(frozen=True)
class PPO:
    """Proximal policy optimisation over the cost model (Chameleon Tables 7 and 9)."""

    walkers: int = 128
    """Number of start configurations that are walked from at once (the paper's ``episode_rl``)."""
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
    """Transitions per gradient step; the paper gives no number."""
    hidden: tuple[int, ...] = (64, 64)
    """Units of the tanh layers that policy and value share."""
    reward: str = "fitness"
    """Reward of a predicted fitness: ``fitness`` itself, or ``penalty9``."""


@dataclass(frozen=True)
class Annealing:
    """Simulated annealing over the cost model (AutoTVM; Chameleon Table 8)."""

    chains: int = 128
    steps: int = 500
    temperature: tuple[float, float] = (1.0, 0.0)
    """Temperatures at the first and the last step."""
    patience: int = 50
    """Steps without a new candidate after which the search ends."""


@dataclass(frozen=True)
class RandomWalk:
    """Uniform candidates, ranked by the cost model."""

    candidates: int = 4096


@dataclass(frozen=True)
class Boosting:
    """The XGBoost cost model: predicts throughput over the task's best from knob features."""

    rounds: int = 150
    depth: int = 6
    learning_rate: float = 0.15
    min_child_weight: float = 1.0
    split_gain: float = 0.0
    """Least reduction of the loss that justifies a split (XGBoost's ``gamma``)."""
    shrinkage: float = 1.0
    """Weight of the squared leaf values in the loss (XGBoost's ``lambda``)."""
    row_share: float = 0.9
    column_share: float = 0.7
    """Share of the features that each tree sees; ``row_share`` is that of the records."""
    recall: int | None = None
    """N of the training metric a-recall@N that ends the fit early; no early end where None."""
    patience: int = 20
    """Rounds without a better a-recall after which the fit ends."""


@dataclass(frozen=True)
class PingPong:
    """ALT's filter and its predictors of score and of uncertainty."""

    samples: int = 8
    """Least number of working, and of failed, configurations that the filter is learnt from."""
    validity: float = 0.5
    """Probability of working below which a configuration is turned down."""
    batches: int = 2
    """Number of latest plans from whose errors the uncertainty is learnt."""


@dataclass(frozen=True)
class Gaussian:
    """The Gaussian-process cost model: expected improvement of fitness."""

    rows: int = 256
    """Most records learnt from: half of them the best, half drawn from the rest."""
    scale: float = 1.0
    spread: float = 0.5
    """Standard deviation of the logarithm of the length scales' log-normal prior.

    The median of that prior is ``scale``.
    """
    amplitudes: tuple[float, float] = (0.05, 20.0)
    """Bounds of the signal's variance, over the variance of the fitness."""
    noise: float = 1e-3
    noises: tuple[float, float] = (1e-6, 0.3)
    """Bounds of the noise's variance, over the variance of the fitness.

    The fit begins with ``noise``.
    """
    doubtful: float = 0.8
    """Factor of the share that worked so far.

    A configuration is turned down where its probability of working is lower than the product.
    """
    filter: Boosting = Boosting(rounds=60, depth=5, min_child_weight=0.2)
    prior: Boosting = Boosting(rounds=60, depth=5)
    """Trees that learn from other tasks; those of ``filter`` learn which configurations work."""


@dataclass(frozen=True)
class Sampling:
    """Options of choosing what to measure among the candidates (Chameleon section 4.2)."""

    candidates: int = 64
    """Number of best candidates that the explorer hands over."""
    clusters: tuple[int, ...] = (8, 16, 24, 32, 40, 48, 56, 64)
    """Numbers of clusters to try in turn; where empty, as many as may be measured."""
    threshold: float = 2.5
    """Factor that finds the knee of the clusters' loss.

    The first count is taken whose loss times this is no less than the one before.
    """
    leaders: bool = False
    """True to measure a cluster's best candidate, False for the one nearest to its centroid."""
    epsilon: float = 0.05
    """Share of a plan that is drawn at random instead."""
    combinations: int = 512
    """Most combinations of frequent choices looked at in one plan's sample synthesis."""
    diversity: int = 2
    """Candidates per wanted configuration among which diversity sampling picks."""
    distance: float = 0.5
    """Weight of the distance against the score in active sampling (ALT)."""


@dataclass(frozen=True)
class Transferring:
    """Options of learning from other tasks of the same kind."""

    tasks: int = 6
    """Most other tasks learnt from."""
    rows: int = 128
    """Most records of each task learnt from."""
    share: float = 0.75
    """Share of a task's first plan chosen by what other tasks taught; the rest is random."""
    worthwhile: float = 0.5
    """Least fitness of another task's configuration, over its best, that is tried as it is."""


@dataclass(frozen=True)
class Search:
    """Options of one whole search system."""

    explorer: str = "ppo"
    sampler: str = "adaptive"
    cost_model: str = "gaussian"
    exhaustive: int = 20_000
    """Size of the largest space that is scored whole instead of walked."""
    first_plan: int = 16
    """Number of random configurations measured before there is a cost model."""
    vendor_algorithms: int = 8
    """Most algorithms of one vendor's library that are measured for a layer."""
    vendor_plan: int = 2
    """Algorithms of one vendor's library in a plan."""
    opening: int = 4
    """Configurations per plan while random ones are measured.

    Small plans give every layer a latency soon, so that it can teach others.
    """
    brief: int = 1
    """Configurations in a layer's first plan as long as another layer waits for its own."""
    plan: int = 8
    """Most configurations measured in one plan."""
    small_plan: int = 4
    """Most configurations measured in one plan of a space that is scored whole.

    Scoring such a space costs less than a walk, so its plans may be smaller.
    """
    ppo: PPO = PPO(walkers=64, steps=100, updates=2, minibatch=800)
    annealing: Annealing = Annealing()
    random: RandomWalk = RandomWalk()
    boosting: Boosting = Boosting()
    gaussian: Gaussian = Gaussian()
    pingpong: PingPong = PingPong()
    sampling: Sampling = Sampling(candidates=32, clusters=(), leaders=True)
    transfer: Transferring | None = Transferring()
    """Options of learning from other tasks; None to learn nothing from them."""
