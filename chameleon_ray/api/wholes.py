"""Whole models in the loop: a layer's runner-up wins where that makes the whole model faster.

A layer of several threads that is timed alone finds its inputs on the cores where its last
execution left them. Inside the model, other cores may have written them. So the model is compiled
with each layer's runners-up, too. All layers are timed inside these models in turns, the fastest of
each are put together, and this model is kept if it is faster as a whole.
"""

import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from statistics import median

import numpy as np

from chameleon_ray.api.model_process import ModelProcess
from chameleon_ray.api.session_model import SessionModel
from chameleon_ray.compiler.prepared import Prepared
from chameleon_ray.errors import Stopped, UserError
from chameleon_ray.measure.bench import Bench
from chameleon_ray.measure.free_memory import free_memory
from chameleon_ray.measure.slowdown import chance_of
from chameleon_ray.options import Confirming
from chameleon_ray.report.format import counted, percent
from chameleon_ray.report.progress import Progress
from chameleon_ray.winners import Winner

TURNS = 100
"""Most turns of two whole models, the first one and that of the best layers."""
CHANCE = 0.02
"""Probability of such turns, or clearer ones, of equal models, below which one is the faster."""
PLACE = ".wholes"
"""Folder of the libraries in the model's directory, which is gone in the end."""
Choice = Mapping[str, Winner]
"""Winners by ``Task.layer``."""


@dataclass(frozen=True)
class Wholes:
    """The whole models of one session's only model.

    Attributes:
        model: The model.
        prepared: Its import, which the process holds.
        process: Process that holds the model.
        bench: Runs whole models on the device tuned for; None where the process does.
        options: Settings of the comparison.
    """

    model: SessionModel
    prepared: Prepared
    process: ModelProcess
    bench: Bench | None
    options: Confirming

    def best(self, winners: Choice, count: int, progress: Progress) -> dict[str, Winner]:
        """Returns the winners of the whole model that is fastest.

        Args:
            winners: Winners of the layers, each timed alone.
            count: Most other whole models to time layers in.
            progress: Progress of the command, which is told what changes.
        """
        own = {task.layer for task in self.prepared.tasks}
        others = runners_up({layer: won for layer, won in winners.items() if layer in own}, count)
        others = others[: self._room(count)]
        if not others or not self.process.holds(self.model.request):
            return dict(winners)
        progress.phase(f"timing layers' runners-up inside {self.model.called}")
        place = self.model.folder.path / PLACE
        shutil.rmtree(place, ignore_errors=True)  # of a command that was killed
        try:
            place.mkdir()
            return self._compared(winners, others, place, progress)
        except Stopped:
            raise
        except (UserError, OSError) as error:  # the winners are good without
            why = str(error).rstrip(".")
            progress.note(f"Runners-up were not timed inside {self.model.called}: {why}.")
            return dict(winners)
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def _compared(
        self, winners: Choice, others: Sequence[Choice], place: Path, progress: Progress
    ) -> dict[str, Winner]:
        """Compiles whole models, and compares the layers, and then the best of each with the first.

        Raises:
            UserError: A model cannot be compiled or run.
        """
        choices = [winners, *({**winners, **other} for other in others)]
        libraries = [self._compiled(c, place / f"{n}.so") for n, c in enumerate(choices)]
        inputs, seconds = self.prepared.inputs, self.options.wholes_seconds
        inside = self.process.profile(libraries, inputs, seconds, self.bench)
        best = fastest_inside(choices, inside, self.options.clearly)
        changed = sum(best[layer].config != winners[layer].config for layer in winners)
        if not changed:
            return dict(winners)
        mixed = self._compiled(best, place / "best.so")
        settings = replace(self.options, model_seconds=2 * seconds, model_repeats=TURNS)
        before, after = self.process.duel((libraries[0], mixed), inputs, settings, self.bench)
        if not faster(after, before):
            return dict(winners)
        gain = percent(1 - median(after) / median(before))
        progress.note(
            f"{counted(changed, 'layer')} took a runner-up that is faster inside "
            f"{self.model.called}, which takes {gain} less time with them."
        )
        return best

    def _compiled(self, choice: Choice, library: Path) -> Path:
        """Compiles the model; returns the library."""
        layers = dict.fromkeys(task.layer for task in self.prepared.tasks)
        chosen = {choice[layer].task: choice[layer] for layer in layers}
        configs = {digest: (one.config, one.latency) for digest, one in chosen.items()}
        self.process.compile_tuned(configs, library, library.with_name("database"))
        return library

    def _room(self, count: int) -> int:
        """Returns the number of other models for which memory suffices, as far as is known."""
        free, each = free_memory(), 0
        with suppress(OSError):
            each = self.model.folder.untuned_library.stat().st_size
        return count if free is None or not each else min(int(free / 2 / each) - 1, count)


def faster(seconds: Sequence[float], others: Sequence[float]) -> bool:
    """Whether a model is faster than another one that it took turns with, beyond chance."""
    turns = min(len(seconds), len(others))
    gains = np.log(np.divide(others[:turns], seconds[:turns]))
    return chance_of(gains) < CHANCE and median(seconds) < median(others)


def runners_up(winners: Choice, count: int) -> list[dict[str, Winner]]:
    """Returns the winners that layers would have had second, third and so on.

    Args:
        winners: Winners of the layers.
        count: Most runners-up of a layer; there are as many choices as the layer with the most has.
    """
    most = max((len(won.others) for won in winners.values()), default=0)
    return [
        {
            layer: replace(won, config=won.others[at][0], latency=won.others[at][1])
            for layer, won in winners.items()
            if at < len(won.others)
        }
        for at in range(min(count, most))
    ]


def fastest_inside(
    choices: Sequence[Choice], inside: Sequence[Mapping[str, float]], clearly: float
) -> dict[str, Winner]:
    """Returns the winners that are fastest inside their models.

    Args:
        choices: Winners of each model; those of the first stay unless others are notably faster.
        inside: Seconds of layers inside each model, by digest.
        clearly: Share by which others must be faster.
    """
    best = dict(choices[0])
    for layer, won in choices[0].items():
        least = (1 - clearly) * inside[0].get(won.task, 0.0)
        for choice, seconds in zip(choices[1:], inside[1:], strict=True):
            if choice[layer].config != won.config and seconds.get(won.task, inf) < least:
                best[layer], least = choice[layer], seconds[won.task]
    return best
