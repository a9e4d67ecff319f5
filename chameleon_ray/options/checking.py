"""The defaults of checking that a library has not become slower than a baseline."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Checking:
    """Settings of comparing a library with a baseline."""

    pairs: int = 30
    """Most pairs of processes, each of which loads and times both libraries."""
    looks: int = 3
    """Most times that the pairs so far are looked at, to end where the verdict is clear."""
    turns: int = 5
    """Most timings of each library in one process."""
    process_seconds: float = 4.0
    """Seconds of timing that both libraries share in one process; each is timed once at least."""
    seconds: float = 600.0
    """Seconds after which no further pair is begun, once there are enough for a verdict."""
