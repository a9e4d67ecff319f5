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
from math import expm1, inf
from pathlib import Path

from chameleon_ray.api.compiled_model import chosen_of
from chameleon_ray.api.model_process import ModelProcess
from chameleon_ray.api.pairs import duel_of, in_pair
from chameleon_ray.api.session_model import SessionModel
from chameleon_ray.compiler.prepared import Prepared
from chameleon_ray.errors import Stopped, UserError
from chameleon_ray.measure.bench import MAIN, Bench
from chameleon_ray.measure.free_memory import free_memory
from chameleon_ray.options import Confirming
from chameleon_ray.report.format import counted, percent
from chameleon_ray.report.progress import Progress
from chameleon_ray.winners import Winner

TURNS = 100
"""Most turns of two whole models in each order of loading them."""
GAIN = 0.01
"""Least share of its time that the model has to gain; equal ones differ by half of it at times."""
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
        others = runners_up(winners, self.room(count))
        if not others or not self.process.holds(self.model.request):
            return dict(winners)
        progress.phase(f"timing layers' runners-up inside {self.model.called}")
        place = self.model.folder.path / PLACE
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
            clear(self.model.folder.path)

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
        timing = replace(self.options, model_seconds=seconds, model_repeats=TURNS)
        duel = duel_of(self.process, inputs, self.bench)
        gain = -expm1(in_pair(duel, ((mixed, MAIN), (libraries[0], MAIN)), timing))
        if gain < GAIN:
            return dict(winners)
        progress.note(
            f"{counted(changed, 'layer')} took a runner-up that is faster inside "
            f"{self.model.called}, which takes {percent(gain)} less time with them."
        )
        return best

    def _compiled(self, choice: Choice, library: Path) -> Path:
        """Compiles the model; returns the library."""
        chosen = chosen_of(self.prepared, choice)
        self.process.compile_tuned(chosen, library, library.with_name("database"))
        return library

    def room(self, count: int) -> int:
        """Returns the number of other models for which memory suffices, as far as is known."""
        free, each = free_memory(), 0
        with suppress(OSError):
            each = self.model.folder.untuned_library.stat().st_size
        return count if free is None or not each else max(min(int(free / 2 / each) - 1, count), 0)


def clear(folder: Path) -> None:
    """Removes from a model's directory what a command that was killed left there."""
    shutil.rmtree(folder / PLACE, ignore_errors=True)


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
