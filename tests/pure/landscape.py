"""Known-answer landscapes: small design spaces with a fitness whose optimum is known."""

from dataclasses import dataclass

import numpy as np

from chameleon_ray.knob import Knob
from chameleon_ray.space import Config, DesignSpace

ANY = 1 << 20
"""An ``innermost`` that bounds nothing."""


@dataclass(frozen=True, eq=False)
class Landscape:
    """A space with one summit; being picklable it may stand in for a cost model.

    Attributes:
        space: The design space.
        optimum: The only configuration of fitness 1.
        scale: How fast the fitness falls with the distance from it.
    """

    space: DesignSpace
    optimum: Config
    scale: float = 4.0

    def __call__(self, configs: np.ndarray) -> np.ndarray:
        """``(n,)`` fitness in (0, 1]: falls with distance, and for two knobs wrong together."""
        summit = self.space.coordinates(np.array([self.optimum]))
        away = np.abs(self.space.coordinates(configs) - summit)
        together = (away[:, 1:] * away[:, :-1]).sum(axis=1)
        return np.exp(-self.scale * ((away**2).mean(axis=1) + together / self.space.axes))


def convolution() -> Landscape:
    """Eight knobs like a direct convolution's: six tilings and two lists; 3.8e9 configurations."""
    tilings = {"tile_f": (64, 4), "tile_y": (56, 4), "tile_x": (56, 4), "tile_rc": (64, 2)}
    tilings |= {"tile_ry": (3, 2), "tile_rx": (3, 2)}
    knobs = [Knob.tiling(name, extent, parts, ANY) for name, (extent, parts) in tilings.items()]
    knobs.append(Knob.listed("unroll", (0, 512, 1500)))
    knobs.append(Knob.listed("explicit", (0, 1)))
    return Landscape(DesignSpace(tuple(knobs)), (40, 30, 55, 3, 1, 0, 2, 1))


def sketched() -> Landscape:
    """Three sketches, of which the last has nothing but one list to choose from."""
    knobs = (
        Knob.listed("sketch", ("tiled", "cached", "plain")),
        Knob.tiling("rows", 48, 3, ANY),
        Knob.tiling("columns", 64, 3, ANY),
        Knob.tiling("cache", 32, 2, ANY),
        Knob.listed("parallel", (1, 2, 4, 8)),
    )
    active = np.array([[1, 1, 1, 0, 1], [1, 1, 1, 1, 1], [1, 0, 0, 0, 1]], dtype=bool)
    return Landscape(DesignSpace(knobs, active), (1, 12, 17, 4, 2))


def fenced() -> Landscape:
    """The three sketches, two thirds of whose configurations are valid."""
    open_field = sketched()
    knobs, active = open_field.space.knobs, open_field.space.active
    everything = open_field.space.enumerate()
    members = everything[everything.sum(axis=1) % 3 != 2]
    return Landscape(DesignSpace(knobs, active, members), open_field.optimum)


def tiny() -> Landscape:
    """Three configurations; one of the two knobs has a single choice."""
    knobs = (Knob.listed("only", (1,)), Knob.listed("few", (1, 2, 3)))
    return Landscape(DesignSpace(knobs), (0, 2))
