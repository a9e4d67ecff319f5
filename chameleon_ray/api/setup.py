"""The set-up of a session: all that can be refused before anything is written or started."""

import resource
from dataclasses import dataclass
from pathlib import Path

from chameleon_ray.api.algorithms import search_of
from chameleon_ray.api.bounds import demand_bounds
from chameleon_ray.api.run_entries import entries_of
from chameleon_ray.api.warm_start import transfer_of
from chameleon_ray.cluster import gpus, ray_session
from chameleon_ray.compiler.codegen.link import find_linker
from chameleon_ray.compiler.kind import TargetKind
from chameleon_ray.compiler.kinds import kind_of
from chameleon_ray.errors import UserError
from chameleon_ray.lockfile import Lock
from chameleon_ray.measure.cores import available, split
from chameleon_ray.options import Request, Search
from chameleon_ray.report.scalars import demand
from chameleon_ray.store.entry import Entry
from chameleon_ray.store.store import Store, open_store
from chameleon_ray.transfer import Transfer

ADDRESSES = 3 << 30
"""Least bytes of address space of a process: where they run out, libraries end it without a word.

With 2.1 GiB a command tunes a model of two layers on two cores, as measured; the rest is room for
the threads of more cores.
"""


@dataclass(frozen=True)
class Setup:
    """The kind of target, search system and cores that a session works with on this machine.

    Attributes:
        kind: Kind of the targets.
        search: Search system.
        search_cores: Cores for search and builds.
        timing_cores: Cores for timing alone.
        transfer: Knowledge that tasks have of each other; None where they learn nothing from
            others.
        store: Store of tuned layers; None where there is none.
        earlier: Entries of the runs of ``--warm-start``.
    """

    kind: TargetKind
    search: Search
    search_cores: tuple[int, ...]
    timing_cores: tuple[int, ...]
    transfer: Transfer | None
    store: Store | None = None
    earlier: tuple[Entry, ...] = ()


def set_up(request: Request) -> Setup:
    """Checks a request against this machine, and divides its cores.

    Raises:
        UserError: The request cannot be met.
    """
    search = search_of(request)
    demand_bounds(request)
    _demand_addresses()
    kind = kind_of(request.target)
    kind.demand(request.target)
    ray_session.check_pins()
    find_linker()
    demand(request.tensorboard)
    _demand_sense(request)
    if request.locked is not None:
        Lock.read(Path(request.locked))  # which says at once what is wrong with it
    gpus = _gpus(request, kind)
    if gpus is not None and request.instances > 1:
        raise UserError("--instances is for copies on a CPU's cores; leave it out for a GPU.")
    cores = split(available(), request.threads, gpus, request.instances)
    search_cores, timing_cores = cores
    runs = [Path(run) for run in request.warm_start]
    earlier = tuple(entry for run in runs for entry in entries_of(run, stored=True))
    store = open_store(request.store, request.storing, installed=True)
    if request.refresh and store is None and not runs:
        raise UserError("--refresh times again what a store has, and there is none; give --store.")
    return Setup(
        kind,
        search,
        search_cores,
        timing_cores,
        transfer_of(search, earlier),
        store,
        earlier,
    )


def _demand_addresses() -> None:
    """Raises a ``UserError`` where a process may have too little address space."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY and limit < ADDRESSES:
        raise UserError(
            f"A process may have {limit / 2**30:.1f} GiB of addresses here, and tuning takes "
            f"{ADDRESSES / 2**30:.0f} GiB; raise the limit, as by: ulimit -v unlimited"
        )


def _demand_sense(request: Request) -> None:
    """Demands that options do not contradict each other.

    Raises:
        UserError: They do.
    """
    if request.locked is not None and (request.only or request.refresh):
        name = "--only" if request.only else "--refresh"
        raise UserError(f"--locked measures nothing; leave out {name}, or leave out --locked.")


def _gpus(request: Request, kind: TargetKind) -> int | None:
    """Counts the GPUs of this machine that need a core; None where the cores themselves time.

    The head of a cluster may have GPUs and hand out none of them.
    """
    if kind.gpus is None:
        return None
    found = kind.gpus()
    if found < 2 or not request.on_cluster:  # there is a core for the first one in any case
        return found
    with ray_session.start(request.address):
        return gpus.here()
