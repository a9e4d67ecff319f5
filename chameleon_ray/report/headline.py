"""The headline of a tuned model: its latency beside those of what its user would run instead."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from chameleon_ray.report.format import milliseconds
from chameleon_ray.report.result import UNTUNED, Compared, Latency, RunResult

NOTABLE = 0.1
"""Relative spread of timings above which people are told of it."""


@dataclass(frozen=True)
class Headline:
    """The latencies of one model, as people read them.

    Attributes:
        model: Name of the model.
        device: Device that it was timed on.
        tuned: Latency of the tuned model; None where it was not timed.
        untuned: Latency of untuned TVM's; None where it was not timed.
        comparison: What came of each framework.
        folder: The run directory.
    """

    model: str
    device: str
    tuned: Latency | None
    untuned: Latency | None
    comparison: Sequence[Compared] = ()
    folder: Path = Path()

    @property
    def timed(self) -> list[tuple[str, Latency]]:
        """Names and latencies of the frameworks that ran the model."""
        return [(one.name, one.latency) for one in self.comparison if one.latency is not None]

    @property
    def fastest(self) -> bool:
        """Whether nothing that was timed beside the tuned model is faster."""
        others = [latency.seconds for _, latency in self.timed]
        if self.untuned is not None:
            others.append(self.untuned.seconds)
        return self.tuned is not None and all(self.tuned.seconds <= other for other in others)

    @property
    def text(self) -> str:
        """The latencies in ms: the tuned model's, the frameworks', and last untuned TVM's."""
        if self.tuned is None:
            return f"{self.model}: the whole model was not timed"
        parts = [f"{self.model}: {milliseconds(self.tuned.seconds)} ms"]
        if self.timed:
            parts.append(", ".join(f"{n} {milliseconds(one.seconds)}" for n, one in self.timed))
        if self.untuned is not None:
            parts.append(f"{UNTUNED} {milliseconds(self.untuned.seconds)}")
        return "; ".join(parts)

    @property
    def notes(self) -> list[str]:
        """Sentences on how it was timed, what was left out, and how far timings vary."""
        found = [f"On {self.device}."] if self.device else []
        if self.timed:
            threads = max(one.threads for one in self.comparison)
            each = "1 thread" if threads == 1 else f"{threads} threads"
            copies = max(one.instances for one in self.comparison)
            beside = f" Each had {copies} copies running at once." if copies > 1 else ""
            found = [f"Timed in turns on {self.device}, with {each} each.{beside}"]
        for one in self.comparison:
            if one.fault:
                found.append(f"Not compared with {one.name}: {one.fault}.")
        return [*found, *self._varying()]

    @property
    def plain(self) -> dict:
        """The same as plain data, as ``summary.json`` has it."""
        ms = {"untuned": self.untuned, "tuned": self.tuned}
        return {
            "model": self.model,
            "device": self.device,
            "latency_ms": {name: one and 1e3 * one.seconds for name, one in ms.items()},
            "spread_ms": {name: _spread_ms(one) for name, one in ms.items()},
            "comparison": [rival(one) for one in self.comparison],
        }

    def _varying(self) -> list[str]:
        """Says whose timings vary notably, and what to do about it."""
        known = [("the tuned model", self.tuned), *self.timed]
        shares = [(name, one.relative) for name, one in known if one]
        once = " and ".join(name for name, share in shares if share is None)
        told = [f"How far timings vary is not known: there is one only of {once}."] if once else []
        wide = [(name, share) for name, share in shares if share is not None and share > NOTABLE]
        if not wide:
            return told
        parts = " and ".join(f"{name}'s by {share:.0%}" for name, share in wide)
        again = f"chameleon bench {self.folder}" if self.folder != Path() else "chameleon bench"
        return [
            *told,
            f"Timings vary, {parts}: end what else runs on these cores, and repeat with {again}.",
        ]


def _spread_ms(one: Latency | None) -> float | None:
    return None if one is None or one.spread is None else 1e3 * one.spread


def headline_of(result: RunResult) -> Headline:
    """Returns the headline of a finished run."""
    return Headline(
        result.model,
        result.device,
        result.tuned,
        result.untuned,
        result.comparison,
        result.folder,
    )


def rival(one: Compared) -> dict:
    """Returns a framework's latency in seconds as plain data, or why there is none."""
    if one.latency is None:
        return {"name": one.name, "fault": one.fault}
    return {
        "name": one.name,
        "version": one.version or None,
        "latency": one.latency.seconds,
        "spread": one.latency.relative,
        "threads": one.threads,
        "instances": one.instances,
    }
