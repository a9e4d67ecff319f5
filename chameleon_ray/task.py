"""A task: one distinct layer of a model on one target, as plain data that any process can hold."""

from dataclasses import dataclass, field
from functools import cached_property
from re import sub

from chameleon_ray.space import DesignSpace


@dataclass(frozen=True)
class Constants:
    """The constants among a layer's arguments, which a model reads again once it is run again.

    Attributes:
        places: Their places among the arguments.
        distance: Reuse distance in bytes: all constants that one run of the model reads.
    """

    places: tuple[int, ...] = ()
    distance: int = 0


@dataclass(frozen=True, eq=False)
class Task:
    """One distinct layer and the ways to schedule it.

    Attributes:
        name: The layer's fused operators, as the extractor names them; people are shown another
            name (``layer_names``).
        digest: Structural hash of the layer and its target (16 hex digits); names it in records.
        target: TVM target, as JSON.
        weight: How often the layer occurs in the model. With several models, the sum of their
            importance times that number.
        flop: Floating-point operations of one execution; 0 where there are none.
        space: Its design space; no knobs where there is nothing to tune.
        program: Bytes from which the compiler rebuilds the layer and its sketches; opaque to
            others.
        shape: Shapes of inputs and outputs in words, for people.
        traffic: Bytes of its inputs and outputs, each counted once; 0 where they are not known.
        has_default: Whether there is a default schedule; a recorded space has none.
        vendor: Libraries (``vendor.py``) that have a function for the layer.
        lowering: Name of the algorithm, for people, where the layer may be computed by several.
        instead: Digest of the task whose place this one may take, as it computes the same by
            another algorithm; empty for the one that the model has where nothing is measured.
        nodes: The user's own names of the layer's occurrences, in order: modules of torch or nodes
            of ONNX; empty texts where they have none.
        what: What is computed, for people, as ``conv 3x3/1 512→512 @7x7 + add + relu``.
        constants: The constants among its arguments.
    """

    name: str
    digest: str
    target: str
    weight: float
    flop: float
    space: DesignSpace
    program: bytes = field(repr=False, default=b"")
    shape: str = ""
    traffic: float = 0.0
    has_default: bool = True
    vendor: tuple[str, ...] = ()
    lowering: str = ""
    instead: str = ""
    nodes: tuple[str, ...] = ()
    what: str = ""
    constants: Constants = Constants()

    @property
    def layer(self) -> str:
        """Digest that tells a layer, the same for all tasks of which the model gets one."""
        return self.instead or self.digest

    @cached_property
    def kind(self) -> str:
        """The layer's operators, whatever their shapes."""
        return kind_of(self.name)


def kind_of(name: str) -> str:
    """Strips numbers from a layer's name: ``fused_conv2d3_add1`` becomes ``fused_conv2d_add``."""
    return sub(r"\d+(?=_|$)", "", name)
