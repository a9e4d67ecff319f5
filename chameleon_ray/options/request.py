"""The request for a run, and its defaults: measuring, placement, session."""

from dataclasses import dataclass, field

from chameleon_ray.options.budgeting import Budgeting
from chameleon_ray.options.comparing import FRAMEWORKS, Comparing
from chameleon_ray.options.confirming import Confirming
from chameleon_ray.options.option import option
from chameleon_ray.options.storing import Storing

TUNE, BOTH = ("tune",), ("tune", "zoo")
"""Commands that are given an option again to go on with a run."""


@dataclass(frozen=True)
class Measuring:
    """Settings of compiling and timing a configuration."""

    instances: int = 1
    """Copies of a kernel or model that run at once on a CPU, of which one is timed."""
    build_timeout: float = 3.0
    """Most seconds of a build for a CPU; a longer one is rarely of use and holds up others."""
    gpu_build_timeout: float = 10.0
    """Most seconds of a build for a GPU, whose compiler takes longer."""
    run_timeout: float = 5.0
    """Most seconds for loading a candidate and all its repeats."""
    load_timeout: float = 2.0
    """Seconds for loading alone; a run may take these and twice the latency that is hopeless."""
    default_timeout: float = 90.0
    """Most seconds for building or running a default schedule, which may be very slow."""
    repeats: int = 3
    """Number of timings of a candidate that may win."""
    slower: float = 1.15
    """Ratio to the best latency so far above which a candidate is timed once only."""
    close: float = 0.02
    """Relative difference from the best latency up to which a candidate is timed more often."""
    close_repeats: int = 5
    """Number of timings of a candidate whose latency is within ``close`` of the best one."""
    repeat_seconds: float = 0.01
    """Least seconds of one timing; a shorter kernel is executed several times in it."""
    disturbed: float = 0.02
    """Share of a timing on a CPU that other processes may take before it is timed again."""
    again: int = 2
    """Most times that such a timing is taken again; the one least disturbed counts."""
    turn_seconds: float = 120.0
    """Most seconds of waiting for another command that is timing on the same cores."""
    shots: int = 50
    """Most executions in one timing on a GPU; the latency is their median."""
    cold_least: int = 1 << 16
    """Bytes from which a weight is out of a CPU's cache when its layer is timed."""
    cold_most: int = 1 << 27
    """Most bytes of other weights that are read between two timings on the same weights."""
    warm_cache: bool = False
    """Whether a kernel on a GPU finds in the L2 cache what its last execution left there."""
    idle_seconds: float = 0.2
    """Seconds without work after which a GPU's clocks may be low."""
    wake_seconds: float = 0.005
    """Seconds for which such a GPU copies before it is timed."""
    context_timeout: float = 60.0
    """Most seconds for a process to begin to use a GPU."""
    long_seconds: float = 0.1
    """Latency in seconds above which a kernel is timed once only."""
    hopeless: float = 4.0
    """Ratio to the best latency so far above which a candidate is executed no more than twice."""
    reference_flop: float = 4e9
    """Most operations of a layer of 16-bit floats or TF32 whose outputs to expect a CPU computes.

    Those of larger ones are the default schedule's, as computing them would take seconds.
    """
    jobs_per_child: int = 200
    """Number of jobs after which a child process is replaced: TVM never frees compiled code."""
    memory_bytes: int = 8 << 30
    """Most bytes of memory that a build or a run may take on a CPU target."""


@dataclass(frozen=True)
class Calibrating:
    """Settings of comparing devices of one type before their latencies are mixed."""

    references: int = 3
    """Number of layers of which every device times a kernel; with 0, latencies are taken as is."""
    most_seconds: float = 0.1
    """Most seconds of latency of a reference; the first one may take longer."""
    tries: int = 3
    """Most timings of a reference that differs notably; that nearest to the first one's counts."""
    notable: float = 0.05
    """Relative difference from the first device up to which latencies are left as they are."""


@dataclass(frozen=True)
class Scheduling:
    """Settings of finding the order of least peak memory (SERENITY)."""

    seconds: float = 30.0
    """Seconds after which the best order found so far is taken."""
    beam: int = 64
    """Number of partial schedules kept per step for the first, quick order."""
    width: int = 4096
    """Most partial schedules per step; where there are more, a lower budget is tried."""
    growth: int = 4
    """Factor of the width where every budget is too low or too wide."""
    divide: bool = True
    """Whether the graph is cut where that loses nothing."""


@dataclass(frozen=True)
class Replaying:
    """Settings of searching a recorded table."""

    measurements: int = 200
    """Most measurements of one search."""
    seeds: int = 5
    """Number of searches, each with a seed of its own."""


@dataclass(frozen=True)
class Placing:
    """Settings of a run's actors: where they are, and when one is given up."""

    builders: int | None = None
    """Builders on each node of a cluster; where None, one per core that nothing else needs."""
    layers: int = 16
    """Least number of layers in flight on a cluster."""
    look_seconds: float = 1.0
    """Seconds between two looks at which nodes the cluster has."""
    call_seconds: float = 600.0
    """Seconds after which a silent actor is given up, as its node may be out of reach."""
    waiting_seconds: float = 20.0
    """Seconds after which the user is told that no actor has got its GPU yet."""
    account_seconds: float = 30.0
    """Most seconds for an actor to say where its time went; a silent one has no account."""
    attempts: int = 3
    """Number of actors that one call may lose before it is given up."""
    strikes: int = 5
    """Number of losses in a row after which the place of an actor is given up.

    A failure that another actor does not confirm counts as a loss.
    """


@dataclass(frozen=True)
class Request:
    """A request to tune a model.

    The ``option`` of a field tells what the commands and a zoo's file do with it. The command that
    goes on with a run repeats ``inputs``, ``examples``, ``memory_aware`` and ``warm_start`` in any
    case.
    """

    model: str
    """Zoo name, ``.onnx`` or ``.pt2`` file, or ``package.module:factory``."""
    inputs: tuple[str, ...] = ()
    """Inputs of the model, each as ``NAME:SHAPE[:DTYPE]``, or ``NAME=VALUE`` for a fixed one."""
    examples: tuple[str, ...] = ()
    """Example inputs, as ``FILE.npz`` or ``NAME=FILE.npy``."""
    target: str = option("llvm", resume=TUNE)
    """``llvm``, ``cuda``, a GPU's architecture as ``cuda:sm_90``, or a TVM target as JSON."""
    trials: int | None = option(None, resume=BOTH, zoo_file=True, least=1, budget=True)
    """Most measurements; no limit where None."""
    minutes: float | None = option(None, resume=BOTH, zoo_file=True, least=0.1, budget=True)
    """Most minutes of the whole command.

    ``Budgeting.minutes`` where ``trials`` and ``until`` are None, too.
    """
    until: float | None = option(None, resume=BOTH, zoo_file=True, least=0.0, budget=True)
    """A layer is finished once its best is believed to be within this share of its space's best.

    Where None, only patience ends a layer.
    """
    preset: str = option("chameleon", resume=TUNE, zoo_file=True)
    explorer: str | None = option(None, resume=TUNE, zoo_file=True)
    """Explorer in place of the preset's."""
    sampler: str | None = option(None, resume=TUNE, zoo_file=True)
    """Sampler in place of the preset's."""
    cost_model: str | None = option(None, resume=TUNE, zoo_file=True)
    """Cost model in place of the preset's."""
    template: tuple[str, ...] = option((), resume=TUNE)
    """Templates of other packages, each tried on every layer before the target's own."""
    transfer: bool = option(True, zoo_file=True)
    """Whether tasks learn from each other, where the preset has them do so."""
    seed: int = option(0, resume=TUNE, zoo_file=True, least=0)
    out: str | None = None
    """The run directory; a new one under ``runs/`` where None."""
    resume: bool = False
    warm_start: tuple[str, ...] = ()
    """Directories of earlier runs to learn from."""
    store: str | None = option(None, resume=BOTH)
    """Store of tuned layers: a folder, a URL, or ``none``.

    Where None, what ``CHAMELEON_STORE`` names, or else a folder in the user's cache directory.
    """
    locked: str | None = option(None, resume=TUNE)
    """Lock file whose winners are compiled as they are; nothing is measured then."""
    only: tuple[str, ...] = option((), resume=TUNE)
    """Names of the layers that are tuned, or patterns of names; all layers where empty."""
    refresh: bool = option(False, resume=BOTH)
    """Whether the store's winners are timed again, and layers tuned only where they got worse."""
    address: str | None = option(None, resume=BOTH)
    """Ray cluster to join; a new one on this machine where None."""
    threads: int | None = option(None, resume=TUNE, zoo_file=True, least=1)
    """Number of cores that a kernel may use.

    They are kept free of everything else. If they are all cores, everything else is frozen while a
    kernel is timed. Where None, half of all cores, or one per GPU where GPUs time.
    """
    instances: int = option(1, resume=TUNE, zoo_file=True, least=1)
    """Copies that run at once on a CPU, each on as many cores, of which one is timed."""
    layout: str = option("auto", resume=TUNE, zoo_file=True)
    """Layout in which convolutions are tuned; ``auto`` for what suits the target."""
    precision: str = option("float32", resume=TUNE, zoo_file=True)
    """Precision in which products of float32 are computed, or their weights stored."""
    memory_aware: bool = option(False, zoo_file=True)
    """Whether operations are first reordered and rewritten, for least memory."""
    vendor: bool = option(True, resume=TUNE, zoo_file=True)
    """Whether kernels of NVIDIA's libraries are candidates for layers on a GPU, too."""
    build_only: bool = False
    """Whether configurations are compiled and not timed, which needs no device."""
    compare: tuple[str, ...] = option(FRAMEWORKS, resume=BOTH)
    """Frameworks that the tuned model is timed in turns with at the end, by name."""
    engine: str = option("ray", resume=BOTH)
    """``ray``, or ``serial`` for everything in one process and its children, without Ray."""
    tensorboard: str | None = option(None, resume=BOTH)
    """Folder below which scalars for TensorBoard are written; None for nowhere."""
    measuring: Measuring = Measuring()
    calibrating: Calibrating = Calibrating()
    budgeting: Budgeting = field(default_factory=Budgeting)
    confirming: Confirming = field(default_factory=Confirming)
    comparing: Comparing = field(default_factory=Comparing)
    placing: Placing = Placing()
    storing: Storing = field(default_factory=Storing)

    @property
    def on_cluster(self) -> bool:
        """Whether the run joins other machines, or may."""
        return self.engine == "ray" and self.address is not None
