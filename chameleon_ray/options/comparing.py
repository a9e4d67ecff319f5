"""The defaults of timing a tuned model in turns with what its user would run instead."""

from dataclasses import dataclass

FRAMEWORKS = ("onnxruntime", "pytorch")
"""Names of the frameworks that models are compared with where nothing else is asked for."""


@dataclass(frozen=True)
class Comparing:
    """Settings of comparing a tuned model with frameworks."""

    rounds: int = 9
    """Most rounds; in each, all have their turn."""
    seconds: float = 8.0
    """Seconds of timing after which no further round is begun.

    What has taken more than an equal share of them, as untuned models do, has a few turns at most.
    """
    least_turns: int = 3
    """Turns that what is slow has nevertheless, while there are seconds left; of fewer than two
    nobody knows how far they vary."""
    turn_seconds: float = 0.1
    """Seconds for which one framework runs the model in its turn; it runs it once at least."""
    starting: float = 60.0
    """Most seconds until all frameworks have loaded the model and run it once."""
    least_seconds: float = 3.0
    """Seconds for starting frameworks and timing them below which that is not begun."""
    begun_seconds: float = 5.0
    """Least seconds for the end of starting and for timing what was begun before."""
    process_bytes: int = 512 << 20
    """Bytes of memory that one framework takes without a model, as torch does."""
    copies: int = 3
    """Copies of a model's weights that one framework may have while it loads them.

    Where memory is too short, frameworks are started only after the model is compiled.
    """
    patience: float = 60.0
    """Seconds after which a framework that does not end its turn is given up."""
    starting_share: float = 0.5
    """Seconds that starting them is expected to take, per second of the model's import.

    The model is compiled meanwhile.
    """
