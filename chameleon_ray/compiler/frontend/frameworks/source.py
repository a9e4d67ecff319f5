"""What a framework other than TVM is given: a model as its user has it, and inputs."""

from dataclasses import dataclass
from pathlib import Path

from chameleon_ray.compiler.frontend.examples import given
from chameleon_ray.compiler.frontend.inputs import InputSpec
from chameleon_ray.measure.example import Arrays


@dataclass(frozen=True)
class Source:
    """A model as its user has it, and what it is run with.

    Attributes:
        model: Zoo name, ``.onnx`` or ``.pt2`` file, or ``package.module:factory``.
        inputs: Inputs that the user gave, as for ``chameleon tune``.
        examples: Example inputs that the user gave.
        seed: Seed of the zoo's weights, or of a factory's.
        arrays: Values of the inputs, in order.
        cores: Cores that it runs on, with as many threads for all copies together.
        gpu: Whether it runs on a GPU.
        instances: Number of copies that share the cores when the model is timed.
    """

    model: str
    inputs: tuple[str, ...]
    examples: tuple[str, ...]
    seed: int
    arrays: Arrays
    cores: tuple[int, ...]
    gpu: bool = False
    instances: int = 1

    @property
    def threads(self) -> int:
        """Number of threads of each copy."""
        return max(len(self.cores) // self.instances, 1)

    @property
    def is_onnx(self) -> bool:
        """Whether the model is an ONNX file."""
        return self.model.lower().endswith(".onnx")

    @property
    def is_torch(self) -> bool:
        """Whether the model is torch's: of the zoo, a program, or a factory's."""
        return Path(self.model).suffix.lower() == ".pt2" or not Path(self.model).is_file()

    @property
    def given(self) -> tuple[InputSpec, ...]:
        """Inputs that the user gave, read."""
        return given(self.inputs, self.examples)
