"""Options of sharing measurements between layers, and of when one needs no more."""

from dataclasses import dataclass, field

from chameleon_ray.options.bounding import Bounding


@dataclass(frozen=True)
class Budgeting:
    """Settings of sharing measurements between layers (after Ansor's gradient scheduler)."""

    minutes: float = 6.0
    """Wall time in minutes, for each model, where neither trials nor minutes are asked for."""
    window: int = 3
    """Number of plans over which a layer's recent improvement is measured."""
    backward: float = 0.2
    """Weight of the recent improvement against the predicted one (Ansor's alpha)."""
    similar: float = 2.0
    """Factor by which a layer's latency is believed to trail the best similar one's (beta)."""
    credible: float = 1.25
    """Factor by which a layer may exceed the measured peak before that is not believed."""
    patience: int = 12
    """Number of plans without an improvement after which a layer is finished."""
    improvement: float = 0.01
    """Relative decrease of a layer's latency that counts as an improvement."""
    opening: int = 2
    """Number of plans of a layer's first lowering before its others are searched.

    Also the least number of plans after which a lowering is given up as too slow.
    """
    worse: float = 0.05
    """Relative increase of a layer's latency from which it is worse than in an earlier run.

    Where the timings of the layer's best configuration are spread more, their spread counts.
    """
    slack: float = 1.0
    """Margin, over the number of plans, by which a lowering may be slower than the fastest.

    After p plans it may take 1 + slack / p times as long as that did after p plans.
    """
    soonest: int = 32
    """Configurations that a layer must have tried before a small bound ends it."""
    settled: int = 3
    """Number of plans without an improvement before which a small bound ends no layer."""
    bounding: Bounding = field(default_factory=Bounding)
