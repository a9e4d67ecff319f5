"""Translates an exported torch program to a Relax module, operation by operation."""

import traceback
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import fx
from torch.export import ExportedProgram
from torch.export.graph_signature import ConstantArgument, InputKind, OutputKind
from tvm import relax
from tvm.ir import GenericConst, IRModule

from chameleon_ray.compiler.frontend.inputs import ModelError
from chameleon_ray.compiler.frontend.model import reason
from chameleon_ray.compiler.frontend.naming import named
from chameleon_ray.compiler.frontend.torch import tvm_converters
from chameleon_ray.compiler.frontend.torch.constants import Constants, evaluated
from chameleon_ray.compiler.frontend.torch.converters import CONVERTERS, ON_COMPLEX
from chameleon_ray.compiler.frontend.torch.converters.control import ARGUMENTS
from chameleon_ray.compiler.frontend.torch.node import (
    Complex,
    Converter,
    Node,
    Output,
    Untranslatable,
    is_several,
    output_of,
)
from chameleon_ray.compiler.frontend.torch.place import operator_name, origin_of, place_of
from chameleon_ray.compiler.origin import Origin


def translate(program: ExportedProgram, called: str) -> IRModule:
    """Makes a Relax module whose ``main`` takes the program's tensors and returns its outputs.

    Only what the outputs need is translated. Parameters and buffers become constants.

    Args:
        program: The program, decomposed.
        called: Name of the model in messages.

    Raises:
        ModelError: An operation cannot be translated; the sentence names it and its module.
    """
    try:
        return _Importer(program, called).module()
    except ModelError as error:
        for one in (error, error.__cause__):  # what is half built warns when it is destroyed
            traceback.clear_frames(one.__traceback__ if one else None)
        raise


class _Importer:
    """The values of a program that are known so far, and the function that is being built."""

    def __init__(self, program: ExportedProgram, called: str) -> None:
        self._program, self._called = program, called
        self._builder = relax.BlockBuilder()
        self._constants = Constants()
        self._values: dict[fx.Node, Any] = {}
        self._names: dict[relax.Expr, Origin] = {}

    def module(self) -> IRModule:
        graph, builder = self._program.graph, self._builder
        params = self._inputs()
        with builder.function("main", params):
            with builder.dataflow():
                outputs = self._graph(self._program.graph_module, graph, self._is_user_output())
                found = [self._returned(one) for one in outputs if one is not None]
                whole = found[0] if len(found) == 1 else relax.Tuple(found)
                result = builder.emit_output(whole)
            builder.emit_func_output(result)
        return named(builder.get(), self._names)

    def _inputs(self) -> list[relax.Var]:
        """Binds the graph's inputs; returns those that a user gives, and that are tensors."""
        program, params = self._program, []
        holders = {node.name: node for node in program.graph.nodes if node.op == "placeholder"}
        tensors = {**program.state_dict, **program.constants}
        for spec in program.graph_signature.input_specs:
            node = holders[spec.arg.name]
            if spec.kind != InputKind.USER_INPUT:
                known = tensors[spec.target] if spec.target else None
                self._values[node] = known.detach() if isinstance(known, torch.Tensor) else known
            elif isinstance(spec.arg, ConstantArgument):
                self._values[node] = spec.arg.value
            else:
                given = output_of(node.meta["val"])
                if given.dtype.startswith("complex"):
                    raise ModelError(
                        f"The input {node.name!r} of {self._called} is complex; give its real and "
                        "imaginary parts, and join them with torch.view_as_complex."
                    )
                param = relax.Var(node.name, relax.TensorType(given.shape, given.dtype))
                self._values[node] = param
                params.append(param)
        return params

    def _is_user_output(self) -> list[bool]:
        specs = self._program.graph_signature.output_specs
        return [spec.kind == OutputKind.USER_OUTPUT for spec in specs]

    def _returned(self, value: Any) -> relax.Expr:
        """Returns an output as a tensor of its own."""
        if isinstance(value, Complex):
            raise ModelError(
                f"{self._called} returns complex numbers, which a library cannot; return "
                "torch.view_as_real of them."
            )
        if isinstance(value, bool | int | float):
            value = torch.tensor(value)
        return self._constants(value) if isinstance(value, torch.Tensor) else value

    def _graph(
        self, module: fx.GraphModule, graph: fx.Graph, wanted: Sequence[bool] | None = None
    ) -> list[Any]:
        """Translates what the wanted outputs of a graph need; returns them."""
        (end,) = (node for node in graph.nodes if node.op == "output")
        outputs = end.args[0] if is_several(end.args[0]) else (end.args[0],)
        chosen = [one for place, one in enumerate(outputs) if wanted is None or wanted[place]]
        needed = needed_for(chosen)
        for node in graph.nodes:
            if node.op == "get_attr":
                found = getattr(module, node.target)
                self._values[node] = found
            elif node.op == "call_function" and node in needed:
                value = self._values[node] = self._converted(node)
                for part in value if is_several(value) else (value,):
                    if isinstance(part, relax.Var):
                        self._names.setdefault(part, origin_of(node))
        return [self._values[one] if isinstance(one, fx.Node) else one for one in chosen]

    def _inner(self, module: fx.GraphModule, inputs: Sequence[Any]) -> list[Any]:
        """Translates a graph inside an operation."""
        holders = [node for node in module.graph.nodes if node.op == "placeholder"]
        self._values |= dict(zip(holders, inputs, strict=True))
        return self._graph(module, module.graph)

    def _converted(self, node: fx.Node) -> Any:
        try:
            arguments = self._arguments(node)
            known = evaluated(node, arguments)
            return self._convert(node, arguments) if known is None else known
        except ModelError:
            raise
        except Untranslatable as why:
            raise ModelError(
                f"{self._called}: {place_of(node)} cannot be translated: {why}."
            ) from why
        except Exception as error:
            raise ModelError(
                f"{self._called}: {place_of(node)} cannot be translated "
                f"({reason(error)}); compute it another way, or export the model to ONNX."
            ) from error

    def _convert(self, node: fx.Node, arguments: Mapping[str, Any]) -> Any:
        converter = self._find(node, arguments)
        one = Node(node, arguments, self._builder, self._constants, self._inner)
        value = converter(one)
        if isinstance(value, relax.Expr):
            value = one.emit(value)
        if is_several(value) or _is_tuple(value):
            return [self._checked(part, out) for part, out in self._parts(value, node)]
        return self._checked(value, output_of(node.meta["val"]))

    def _find(self, node: fx.Node, arguments: Mapping[str, Any]) -> Converter:
        name = operator_name(node)
        if any(isinstance(value, Complex) for value in arguments.values()) and name in ON_COMPLEX:
            return ON_COMPLEX[name]
        random = torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ())
        if random and name not in CONVERTERS:
            raise Untranslatable(
                "it draws random numbers, so that the outputs change with each call; take it out, "
                "or give what it draws as an input"
            )
        found = CONVERTERS.get(name) or tvm_converters.converter(node)
        if found is None:
            raise Untranslatable("there is no converter for it; compute it another way")
        return found

    def _parts(self, value: Any, node: fx.Node) -> list[tuple[Any, Output | None]]:
        """Pairs the parts of several outputs with the types that torch gives them."""
        if not is_several(value):
            whole = self._builder.emit(value)
            value = [relax.TupleGetItem(whole, place) for place in range(len(whole.ty.fields))]
        metas = node.meta["val"]
        types = [output_of(one) if isinstance(one, torch.Tensor) else None for one in metas]
        return [(part, types[place]) for place, part in enumerate(value)]

    def _checked(self, value: Any, output: Output | None) -> Any:
        """Binds a value, in the type that torch gives it.

        Raises:
            Untranslatable: Its shape is another one.
        """
        if isinstance(value, Complex) or output is None or not isinstance(value, relax.Expr):
            return value
        if not isinstance(value, relax.Var | GenericConst):
            value = self._builder.emit(value)
        if output.shape is not None:
            shape = value.ty.shape
            sizes = None if shape is None else tuple(getattr(one, "value", None) for one in shape)
            if sizes != output.shape:
                raise Untranslatable(
                    f"its converter gives the shape {sizes} where torch has {output.shape}; "
                    "compute it another way"
                )
        if str(value.ty.dtype) != output.dtype:
            value = self._builder.emit(relax.op.astype(value, output.dtype))
        return value

    def _arguments(self, node: fx.Node) -> dict[str, Any]:
        """Returns an operation's arguments by name, with the schema's defaults."""
        name = operator_name(node)
        given = [self._read(one) for one in node.args]
        if not isinstance(node.target, torch._ops.OpOverload):
            names = ARGUMENTS.get(name, tuple(f"argument{i}" for i in range(len(given))))
            found = dict(zip(names, given, strict=False))
            found.setdefault("operands", given[len(names) :])
            return found
        found = {}
        for place, one in enumerate(node.target._schema.arguments):
            if place < len(given):
                found[one.name] = given[place]
            else:
                found[one.name] = self._read(node.kwargs.get(one.name, one.default_value))
        return found

    def _read(self, value: Any) -> Any:
        """Returns an argument with values in place of operations."""
        if isinstance(value, fx.Node):
            return self._values[value]
        if is_several(value):
            return [self._read(one) for one in value]
        return value


def _is_tuple(value: Any) -> bool:
    return isinstance(value, relax.Expr) and isinstance(getattr(value, "ty", None), relax.TupleType)


def needed_for(outputs: Sequence[Any]) -> set[fx.Node]:
    """Returns the operations that some outputs are computed from."""
    found: set[fx.Node] = set()
    waiting = [one for one in outputs if isinstance(one, fx.Node)]
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting.extend(node.all_input_nodes)
    return found
