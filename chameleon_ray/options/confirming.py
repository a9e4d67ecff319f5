"""The defaults of a session's end: choosing winners, and running whole models."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Confirming:
    """Settings of the end: choosing each layer's winner, and running whole models."""

    finalists: int = 3
    """Number of a layer's fastest candidates that are timed again, in turns with the default."""
    repeats: int = 7
    """Number of timings of each finalist."""
    near: float = 1.1
    """Most times the latency of a layer's fastest lowering at which another is timed again, too."""
    clearly: float = 0.02
    """Relative gain that another lowering than the first must have to be chosen."""
    tie: float = 0.02
    """Relative difference within which the winner of an earlier run stays a layer's winner."""
    sharing: float = 0.03
    """Share that a layer may lose where buckets take one lowering, and so keep weights once."""
    model_repeats: int = 20
    """Most timings of a whole model."""
    model_seconds: float = 8.0
    """Seconds of timing that whole models share; each is timed once at least."""
    warm_seconds: float = 0.2
    """Seconds of running whole models before they are timed, in which a GPU's clocks rise.

    A model that takes less is run once before each timing, too, as others were in the caches.
    """
    model_timeout: float = 1800.0
    """Most seconds for loading whole models, untuned ones too, and for all that is run of them."""
    host_timeout: float = 7200.0
    """Most seconds for importing a model, and for each time that the whole model is compiled."""
    first_seconds: float = 1.0
    """Seconds of running an untuned model after which no further example is compared at first."""
    checking_seconds: float = 3600.0
    """Seconds of running a tuned model after which no further example is compared at the end."""
    tuned_compiling: float = 1.5
    """Times as long as without tuning that compiling a whole model tuned is expected to take."""
    reserve: float = 0.15
    """Least share of wall time kept for choosing winners, compiling and verifying models."""
    least_search: float = 0.25
    """Least share of the time that is left after the imports in which there is a search."""
    most_comparing: float = 0.2
    """Most of the time that is left when the search begins to be kept for other frameworks."""
    closing_seconds: float = 6.0
    """Seconds for ending the workers and for writing the summary and the report."""
    least_model_seconds: float = 0.5
    """Least seconds of timing that whole models share where the time is up."""
    profile_seconds: float = 0.5
    """Seconds for which a tuned model is run to time its layers inside it."""
    wholes: int = 2
    """Most other whole models, of layers' runners-up, that layers are timed in beside the first."""
    wholes_seconds: float = 2.0
    """Seconds for which each of these is run to time its layers, and later two of them in turns."""
    most_wholes: float = 0.2
    """Most of the search's time that they may take."""
    kept_bytes: int = 1 << 20
    """Longest code of a build that is kept until the winners are chosen."""
