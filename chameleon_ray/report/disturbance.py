"""How far other processes disturbed the timings of a run, and the sentence that says so."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Protocol

from chameleon_ray.record import Record, own
from chameleon_ray.report.format import counted
from chameleon_ray.report.layer_result import LayerOutcome
from chameleon_ray.reporting import Reporting


@dataclass(frozen=True)
class Disturbance:
    """The timings of a run whose cores other processes had for a notable part of the time.

    Attributes:
        timings: Number of measurements that were disturbed.
        all: Number of all measurements that the run made itself and that succeeded.
        share: Share of their time in which the disturbed ones waited for a core, on average.
        winners: Number of winners whose final timing was disturbed.
    """

    timings: int
    all: int
    share: float
    winners: int

    @property
    def sentence(self) -> str:
        """What people should know of it; empty where nothing notable was disturbed."""
        notable = self.timings > Reporting.disturbed_timings * self.all
        if not self.winners and not notable:
            return ""
        were = ["was" if count == 1 else "were" for count in (self.all, self.winners)]
        measured = f"{self.timings} of {counted(self.all, 'configuration')} {were[0]} measured"
        confirmed = f"{counted(self.winners, 'winner')} of layers {were[1]} confirmed"
        parts = [text for text, n in ((measured, self.timings), (confirmed, self.winners)) if n]
        return (
            f"Disturbed: other processes had the timing cores for {self.share:.0%} of the time "
            f"while {', and while '.join(parts)}; tune again on a quiet machine where the "
            "latencies matter."
        )


class Timed(Protocol):
    """A run or a zoo: what was measured, and what was confirmed in the end."""

    @property
    def records(self) -> Sequence[Record]: ...

    @property
    def outcomes(self) -> Sequence[LayerOutcome]: ...


def disturbance_of(result: Timed, notable: float = Reporting.disturbed) -> Disturbance:
    """Sums up how far the timings of a run or zoo were disturbed.

    Args:
        result: The run or zoo.
        notable: Least share of a timing that counts.
    """
    good = [record for record in own(result.records) if record.latencies]
    disturbed = [record.disturbed for record in good if record.disturbed > notable]
    winners = [one.disturbed for one in result.outcomes if one.disturbed > notable]
    share = fmean(disturbed or winners or [0.0])
    return Disturbance(len(disturbed), len(good), share, len(winners))
