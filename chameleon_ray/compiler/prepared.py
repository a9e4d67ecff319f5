"""What is known of a model once its process has imported it: all but its weights."""

from dataclasses import dataclass, field

from chameleon_ray.measure.example import Arrays, Example
from chameleon_ray.measure.precision import PLAIN, Precision
from chameleon_ray.task import Task


@dataclass(frozen=True)
class Prepared:
    """An imported model whose layers are extracted, without its weights.

    Attributes:
        name: Name for people and for files.
        digest: Digest of structure and weights.
        target: Complete target, as JSON.
        tasks: Distinct layers of the model, and then further lowerings of some.
        examples: Inputs and the outputs to expect of them; the first one is timed. The outputs
            are None where nothing but TVM could compute them.
        reference_name: Name of what computed these outputs, as ``torch``; None where nothing did.
        precision: Precision that the tuned model computes in.
        untuned_precision: Precision that it is compiled in without tuning.
        layout: Layout of its convolutions, ``NHWC`` or ``NCHW``.
        input_names: Names of the inputs, in order.
        outputs: Names of the outputs; may be empty where they have none.
        notes: Sentences that the user should know.
        seconds: Seconds by phase: ``import``, ``extract``.
    """

    name: str
    digest: str
    target: str
    tasks: tuple[Task, ...]
    examples: tuple[Example, ...]
    reference_name: str | None
    precision: Precision = PLAIN
    untuned_precision: Precision = PLAIN
    layout: str = ""
    input_names: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def inputs(self) -> Arrays:
        """Inputs that the model is timed on."""
        return self.examples[0].inputs
