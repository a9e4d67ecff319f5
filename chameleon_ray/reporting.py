"""Every default of the reports; ``options`` has all others."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Reporting:
    """What people see of a run."""

    refresh_seconds: float = 0.25
    """Least time between two drawings of the live table."""
    core_share: float = 0.005
    """Most of one core that drawing may take; where a drawing is dear it draws less often."""
    log_seconds: float = 5.0
    """Least time between two lines of progress where stderr is no terminal."""
    agreement: float = 0.25
    """Relative difference between a model and the sum of its layers that needs no explanation."""
    errors: int = 8
    """Commonest error texts shown."""
    error_width: int = 240
    """Most characters shown of an error text."""
