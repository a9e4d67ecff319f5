"""What came of compiling a model with a run's winners, for people and for programs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from chameleon_ray.report.launching import sentence
from chameleon_ray.report.loading import needs
from chameleon_ray.report.result import Launching, Verified
from chameleon_ray.report.summary import verification


@dataclass(frozen=True)
class Applied:
    """A model that was compiled with a run's winners.

    Attributes:
        library: File of the compiled model.
        applied: Number of layers that got a tuned schedule.
        layers: Number of layers of the model.
        verified: Comparison of the outputs with the source model's, or the untuned one's; None
            where this machine has no device to run the library on.
        launching: How the library launches kernels; None where there is only one way, or no device.
        needs: Vendor's libraries that the library calls.
        versions: Versions of these that the run was timed with, by name, as far as known.
    """

    library: Path
    applied: int
    layers: int
    verified: Verified | None
    launching: Launching | None = None
    needs: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)


def told(done: Applied) -> list[str]:
    """Returns sentences for people; none where the outputs are wrong, which is an error."""
    tuned, lines = (
        f"{done.library}: {done.applied} of {done.layers} layers tuned",
        needs(done.needs, done.versions),
    )
    if done.verified is None:
        return [*lines, f"{tuned}, not verified, as there is no device here to run it on."]
    against = f"verified against {done.verified.against}"
    if not done.verified.independent:
        against = f"not verified, compared with {done.verified.against} only"
    if done.verified.ok:
        lines.append(f"{tuned}, {against} ({done.verified.errors}).")
    return lines if done.launching is None else [*lines, sentence(done.launching)]


def plain(done: Applied) -> dict:
    """Returns the same as plain data."""
    return {
        "library": str(done.library),
        "applied": done.applied,
        "layers": done.layers,
        "verified": verification(done.verified),
        "needs": list(done.needs),
    }
