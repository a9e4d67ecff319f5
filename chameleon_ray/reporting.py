"""Defaults of the reports; ``options`` has all others."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Reporting:
    """Settings of the live table, the log, the summary and the report."""

    refresh_seconds: float = 0.25
    """Least seconds between two drawings of the live table."""
    core_share: float = 0.005
    """Largest share of one core that drawing may take; slow drawings are made less often."""
    log_seconds: float = 5.0
    """Least seconds between two lines of progress where stderr is no terminal."""
    agreement: float = 0.05
    """Largest relative difference of a model and its layers' sum that needs no explanation."""
    blamed: int = 3
    """Most layers that are named as those that take longer inside the model than alone."""
    errors: int = 8
    """Most error texts shown, the commonest ones."""
    error_width: int = 240
    """Most characters shown of one error text."""
    name_width: int = 40
    """Most characters of a layer's short name in a page."""
    judged: int = 20
    """Most layers whose knobs the report judges, those that take most time."""
    disturbed: float = 0.05
    """Share of a timing that other processes may take without a word."""
    disturbed_timings: float = 0.1
    """Share of a run's measurements that may be disturbed without a word."""
