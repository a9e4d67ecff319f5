"""Options of the bound on how much is left to gain in a layer."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Bounding:
    """Settings of the posterior of the configurations that were not measured."""

    confidence: float = 0.9
    """Probability with which a stated bound is to hold."""
    least: int = 12
    """Number of configurations that worked from which there is a bound."""
    power: float = 5.0
    """Exponent of the fitness that the process learns."""
    rows: int = 128
    """Most records learnt from: half of them the best, half drawn from the rest."""
    rivals: int = 4096
    """Size of the largest space that is judged whole; of a larger one so many are drawn."""
    scales: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0)
    """Length scales among which the likelihood chooses; a side of the space has length 1."""
    noises: tuple[float, ...] = (1e-4, 1e-2, 1e-1)
    """Variances of the noise, over the signal's, among which the likelihood chooses."""
    caution: float = 0.7
    """Factor of the process's standard deviations."""
