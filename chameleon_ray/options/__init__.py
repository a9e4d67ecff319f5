"""Requests and defaults, as frozen dataclasses; ``reporting`` has those of the reports."""

from chameleon_ray.options.bounding import Bounding
from chameleon_ray.options.budgeting import Budgeting
from chameleon_ray.options.checking import Checking
from chameleon_ray.options.comparing import Comparing
from chameleon_ray.options.confirming import Confirming
from chameleon_ray.options.option import (
    least_values,
    options_of,
    repeated,
    typed,
    zoo_file_types,
)
from chameleon_ray.options.request import (
    Calibrating,
    Measuring,
    Placing,
    Replaying,
    Request,
    Scheduling,
)
from chameleon_ray.options.search import (
    PPO,
    Annealing,
    Boosting,
    Gaussian,
    PingPong,
    RandomWalk,
    Sampling,
    Search,
    Transferring,
)
from chameleon_ray.options.session import Session
from chameleon_ray.options.storing import Storing
from chameleon_ray.options.zoo import Member, Zoo

__all__ = [
    "PPO",
    "Annealing",
    "Boosting",
    "Bounding",
    "Budgeting",
    "Calibrating",
    "Checking",
    "Comparing",
    "Confirming",
    "Gaussian",
    "Measuring",
    "Member",
    "PingPong",
    "Placing",
    "RandomWalk",
    "Replaying",
    "Request",
    "Sampling",
    "Scheduling",
    "Search",
    "Session",
    "Storing",
    "Transferring",
    "Zoo",
    "least_values",
    "options_of",
    "repeated",
    "typed",
    "zoo_file_types",
]
