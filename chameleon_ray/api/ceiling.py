"""What the cores that time a session's layers can do at most."""

from chameleon_ray.api.setup import Setup
from chameleon_ray.measure.ceiling import Ceiling, measured
from chameleon_ray.options import Request


def ceiling_of(setup: Setup, request: Request) -> Ceiling | None:
    """Measures the timing cores of one copy, in a second; None where layers are timed elsewhere."""
    elsewhere = setup.kind.gpus is not None or request.on_cluster
    cores = setup.timing_cores
    return None if elsewhere else measured(cores[: len(cores) // request.instances])
