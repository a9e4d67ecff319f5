"""Defaults of a run: measuring, budget, winners, session."""

from dataclasses import dataclass

from chameleon_ray.options.option import option

TUNE, BOTH = ("tune",), ("tune", "zoo")
"""Commands that are given an option again to go on with a run."""


@dataclass(frozen=True)
class Measuring:
    """How a configuration is compiled and timed."""

    build_timeout: float = 3.0
    """Seconds; a kernel that compiles longer is rarely fast and holds up the others."""
    gpu_build_timeout: float = 10.0
    """The same for a GPU, whose compiler takes longer."""
    run_timeout: float = 5.0
    """Seconds for loading and all repeats."""
    load_timeout: float = 2.0
    """Seconds for loading alone; a candidate gets this and twice what makes it hopeless."""
    default_timeout: float = 90.0
    """Seconds for building or running a default schedule, which may be very slow."""
    repeats: int = 3
    """Timings of a candidate that may win."""
    slower: float = 1.15
    """A candidate this many times slower than the best so far is timed once only."""
    close: float = 0.02
    close_repeats: int = 5
    """Timings of a candidate whose latency differs from the best one's by less than this share."""
    repeat_seconds: float = 0.01
    """Least seconds of one timing; a shorter kernel is executed several times in it."""
    shots: int = 50
    """Most executions of one timing on a GPU, whose latency is their median."""
    long_seconds: float = 0.1
    """A kernel that takes longer than this is timed once only."""
    hopeless: float = 4.0
    """A candidate this many times slower than the best so far is executed no more than twice."""
    jobs_per_child: int = 200
    """After so many the process that builds or times is replaced: TVM never frees compiled code."""
    memory_bytes: int = 8 << 30
    """Most memory a build or a run may take on a CPU target."""


@dataclass(frozen=True)
class Calibrating:
    """Comparing devices of one type before their latencies are mixed."""

    references: int = 3
    """Kernels of different layers that every device times; with 0 latencies are taken as is."""
    most_seconds: float = 0.1
    """Latency of a reference, but for the first one, which may take longer."""
    tries: int = 3
    """Timings of a reference that differs notably, of which the nearest to the first device's
    counts."""
    notable: float = 0.05
    """Difference from the first device, as a share, up to which latencies are left as they are."""


@dataclass(frozen=True)
class Budgeting:
    """Sharing measurements between layers (after Ansor's gradient scheduler)."""

    minutes: float = 6.0
    """Wall time of the whole command where neither trials nor minutes are asked for."""
    window: int = 3
    """Plans over which a layer's recent improvement is measured."""
    backward: float = 0.2
    """Weight of the recent improvement against the predicted one (Ansor's alpha)."""
    similar: float = 2.0
    """Factor of latency by which a layer is believed to stay behind the best similar one (beta)."""
    patience: int = 12
    """Plans without an improvement after which a layer is finished."""
    improvement: float = 0.01
    """Relative decrease of a layer's latency that counts as an improvement."""


@dataclass(frozen=True)
class Confirming:
    """Choosing each layer's winner at the end."""

    finalists: int = 3
    """Fastest candidates of a layer that are timed again, interleaved with the default."""
    repeats: int = 7
    """Timings of each finalist."""
    model_repeats: int = 20
    """Timings of a whole model."""
    model_seconds: float = 8.0
    """Seconds after which whole models are not timed again (each at least twice)."""
    model_timeout: float = 1800.0
    """Seconds for loading whole models and for all that is run of them, untuned ones too."""
    reserve: float = 0.15
    """Least share of the wall time kept for choosing winners, compiling and verifying models."""


@dataclass(frozen=True)
class Scheduling:
    """Finding the order of least peak memory (SERENITY)."""

    seconds: float = 30.0
    """After which the best order found so far is taken."""
    beam: int = 64
    """Partial schedules kept per step for the first, quick order."""
    width: int = 4096
    """Most partial schedules per step; with more, a lower budget is tried."""
    growth: int = 4
    """Factor of the width where every budget is too low or too wide."""
    divide: bool = True
    """Whether the graph is cut where that loses nothing."""


@dataclass(frozen=True)
class Replaying:
    """Searching a recorded table."""

    measurements: int = 200
    seeds: int = 5
    """Most measurements of one search, and searches, each with a seed of its own."""


@dataclass(frozen=True)
class Placing:
    """Where a run's actors are, and when one is given up."""

    builders: int | None = None
    """On each node of a cluster; one per core that nothing else needs where None."""
    layers: int = 16
    """Least layers in flight on a cluster."""
    look_seconds: float = 1.0
    """Between two looks at which nodes the cluster has."""
    call_seconds: float = 600.0
    """After which an actor that does not answer is given up, as its node may be out of reach."""
    account_seconds: float = 30.0
    """For an actor to say where its time went; one that does not has no account."""
    attempts: int = 3
    """Actors that one call may lose before it is given up."""
    strikes: int = 5
    """Losses of an actor, or failures of its that another one did not confirm, in a row, after
    which its place is given up."""


@dataclass(frozen=True)
class Request:
    """What the user asked for.

    The commands and a zoo's file know a field by what its ``option`` says. The command that goes
    on with a run repeats ``inputs``, ``memory_aware`` and ``warm_start`` by itself.
    """

    model: str
    """Zoo name, ``.onnx`` or ``.pt2`` file, or ``package.module:factory``."""
    inputs: tuple[str, ...] = ()
    """``NAME:SHAPE[:DTYPE]``."""
    target: str = option("llvm", resume=TUNE)
    """``llvm``, ``cuda``, a GPU's architecture as ``cuda:sm_90``, or a TVM target as JSON."""
    trials: int | None = option(None, resume=BOTH, zoo_file=True, least=1, budget=True)
    """Most measurements; no limit where None."""
    minutes: float | None = option(None, resume=BOTH, zoo_file=True, least=0.1, budget=True)
    """Most wall time of the whole command; ``Budgeting.minutes`` where ``trials`` is None, too."""
    preset: str = option("chameleon", resume=TUNE, zoo_file=True)
    explorer: str | None = option(None, resume=TUNE, zoo_file=True)
    """In place of the preset's."""
    sampler: str | None = option(None, resume=TUNE, zoo_file=True)
    """In place of the preset's."""
    cost_model: str | None = option(None, resume=TUNE, zoo_file=True)
    """In place of the preset's."""
    transfer: bool = option(True, zoo_file=True)
    """Whether tasks learn from each other, where the preset has them do so."""
    seed: int = option(0, resume=TUNE, zoo_file=True, least=0)
    out: str | None = None
    """The run directory; a new one under ``runs/`` where None."""
    resume: bool = False
    warm_start: tuple[str, ...] = ()
    """Directories of earlier runs to learn from."""
    address: str | None = option(None, resume=BOTH)
    """Ray cluster to join; a new one on this machine where None."""
    threads: int | None = option(None, resume=TUNE, zoo_file=True, least=1)
    """Cores that a kernel may use and that are kept free of everything else. Where None half of
    them, or, where GPUs time, one per GPU."""
    layout: str = option("auto", resume=TUNE, zoo_file=True)
    """Layout in which convolutions are tuned; ``auto`` for what suits the target."""
    memory_aware: bool = option(False, zoo_file=True)
    """Whether operations are reordered and rewritten first, for least memory."""
    build_only: bool = False
    """Whether configurations are compiled and not timed, which needs no device."""
    engine: str = option("ray", resume=BOTH)
    """``ray``, or ``serial`` for everything in one process and its children, without Ray."""
    measuring: Measuring = Measuring()
    calibrating: Calibrating = Calibrating()
    budgeting: Budgeting = Budgeting()
    confirming: Confirming = Confirming()
    placing: Placing = Placing()

    @property
    def on_cluster(self) -> bool:
        """Whether it joins other machines, or may."""
        return self.engine == "ray" and self.address is not None


@dataclass(frozen=True)
class Session:
    """The Ray runtime."""

    store_bytes: int = 200 << 20
    """Size of a local session's object store; boosters and compiled kernels are small."""
    knock_seconds: float = 5.0
    """Time for a cluster's address to accept a connection."""
    check_seconds: float = 60.0
    """Time for every node to say which versions it has."""
