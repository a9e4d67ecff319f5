"""One node of an ONNX graph, as its converter sees it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import helper
from tvm import relax
from tvm.ir import GenericConst


class Untranslatable(Exception):
    """The reason why a node cannot be translated, and what to do, as the end of a sentence."""


@dataclass(frozen=True)
class Declared:
    """What the graph says of a value before it is computed.

    Attributes:
        shape: Its extents; None where one of them is open, or nothing is said.
        dtype: Its element type as numpy calls it; None where nothing is said.
    """

    shape: tuple[int, ...] | None = None
    dtype: str | None = None


@dataclass(frozen=True, eq=False)
class Node:
    """A node of an ONNX graph, with what it reads.

    Attributes:
        proto: The node as the file has it.
        version: Version of the operator set that the node's domain has in the model.
        inputs: Values that the node reads, in order; None for those left out.
        attributes: Attributes by name: numbers, texts, lists of them, arrays, and graphs.
        outputs: Declared type of each output; of those nothing reads, too.
        builder: Builder of the Relax function.
        convert_graph: Converts a graph of the node's attributes, such as a loop's body, given its
            inputs; returns its outputs.
    """

    proto: onnx.NodeProto
    version: int
    inputs: tuple[relax.Expr | None, ...]
    attributes: Mapping[str, Any]
    outputs: tuple[Declared, ...]
    builder: relax.BlockBuilder
    convert_graph: Callable[[onnx.GraphProto, Sequence[relax.Expr | None]], list[relax.Expr]]

    def optional(self, place: int) -> relax.Expr | None:
        """Returns an input; None where it is left out."""
        return self.inputs[place] if place < len(self.inputs) else None

    def input(self, place: int) -> relax.Expr:
        """Returns an input that must be there.

        Raises:
            Untranslatable: It is left out.
        """
        value = self.optional(place)
        if value is None:
            raise Untranslatable(f"its input {place} is missing; export the model again")
        return value

    def known(self, place: int) -> np.ndarray | None:
        """Returns the value of an input that is a constant; None where it is left out or computed.

        ``optional`` tells the two apart.
        """
        value = self.optional(place)
        return value.value.numpy() if isinstance(value, GenericConst) else None

    def constant(self, place: int, what: str) -> np.ndarray:
        """Returns the value of an input that must be a constant.

        Args:
            place: Place of the input.
            what: What the input is, for people, such as ``axes``.

        Raises:
            Untranslatable: The input is left out, or computed at run time.
        """
        value = self.known(place)
        if value is None:
            raise Untranslatable(
                f"its {what} are computed at run time; export the model with constant {what}"
            )
        return value

    def declared_shape(self, what: str) -> tuple[int, ...]:
        """Returns the declared shape of the first output, which an input would decide otherwise.

        Args:
            what: What the input is, for people, such as ``axes``.

        Raises:
            Untranslatable: No shape is declared.
        """
        shape = self.outputs[0].shape
        if shape is None:
            raise Untranslatable(
                f"its {what} are computed at run time, and no shape of its output is declared; "
                f"export the model with constant {what}, or with static shapes"
            )
        return shape

    def emit(self, value: relax.Expr) -> relax.Var:
        """Binds a value to a variable, whose type is known from then on."""
        return self.builder.emit(value)


Converter = Callable[[Node], relax.Expr | Sequence[relax.Expr]]
"""Converts a node to its output, or to its outputs in order; those at the end that nothing reads
may be left out."""

Key = tuple[str, str]
"""Domain and type of an operator; the domain of ONNX's own is empty."""


def attributes_of(proto: onnx.NodeProto) -> dict[str, Any]:
    """Returns a node's attributes by name, texts decoded and tensors as arrays."""
    return {one.name: _attribute(one) for one in proto.attribute}


def _attribute(proto: onnx.AttributeProto) -> Any:
    value = helper.get_attribute_value(proto)
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, onnx.TensorProto):
        return onnx.numpy_helper.to_array(value)
    if proto.type == onnx.AttributeProto.STRINGS:
        return [text.decode(errors="replace") for text in value]
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else value


def key_of(proto: onnx.NodeProto) -> Key:
    """Returns the key of a node's operator."""
    return ("" if proto.domain == "ai.onnx" else proto.domain, proto.op_type)


def draws_numbers(proto: onnx.NodeProto) -> bool:
    """Whether a node's outputs change from run to run."""
    domain, kind = key_of(proto)
    return not domain and (kind.startswith("Random") or kind in ("Bernoulli", "Multinomial"))
