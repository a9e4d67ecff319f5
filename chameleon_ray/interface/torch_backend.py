"""The backend ``chameleon`` of ``torch.compile``: graphs become tuned libraries.

A graph that was tuned before is loaded from the cache. Another one is tuned on the spot where the
options give a budget. Else it is compiled with what the store knows of its layers, and waits for
``chameleon pending`` if some are not known. Where none is, torch computes it.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import inf
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.export.graph_signature import OutputKind

from chameleon_ray.errors import Stopped, UserError
from chameleon_ray.interface.graph_cache import PROGRAM, folder_of, is_tuned, keep, target_of
from chameleon_ray.interface.stored_graph import from_store, is_preferred, told
from chameleon_ray.interface.tuned_model import TunedModel, load
from chameleon_ray.interface.tuning import request_of, tune

BUDGET = ("minutes", "trials", "until")
"""Options that have a graph tuned on the spot."""
LASTING = ("target", "threads", "instances", "layout", "precision", "memory_aware", "template")
"""Options that libraries differ by; the others decide how they are searched for."""
Outputs = Sequence[Any]


def chameleon(
    graph: torch.fx.GraphModule,
    example_inputs: Sequence[Any],
    *,
    options: dict[str, Any] | None = None,
) -> Callable[..., Outputs]:
    """Compiles a graph, as ``torch.compile(model, backend="chameleon")`` has it do.

    Args:
        graph: The graph; parameters and buffers are inputs of it.
        example_inputs: Its inputs: tensors, and symbolic numbers where shapes are dynamic.
        options: Options of ``tune``, such as ``{"minutes": 2}``.

    Raises:
        UserError: There is no such option.
    """
    asked = dict(options or {})
    request_of({name: value for name, value in asked.items() if name != "quiet"})
    tensors = [one for one in example_inputs if isinstance(one, Tensor)]
    if torch.is_grad_enabled() and any(one.requires_grad for one in tensors):
        warnings.warn("chameleon compiles inference only: use torch.no_grad().", stacklevel=2)
        return graph.forward
    return Graph(graph, [_is_static(one) for one in example_inputs], asked)


def _is_static(value: Any) -> bool:
    """Whether an input is a parameter or a buffer, which torch hands over with every call."""
    return isinstance(value, torch.nn.Parameter) or hasattr(value, "_dynamo_static_input_type")


class Graph:
    """A graph of torch's, with a library for each combination of shapes that it is called with."""

    def __init__(
        self, graph: torch.fx.GraphModule, static: Sequence[bool], options: dict[str, Any]
    ) -> None:
        """Takes the graph, which of its inputs are parameters or buffers, and options."""
        self._graph, self._options = graph, options
        self._static = [place for place, fixed in enumerate(static) if fixed]
        self._free = [place for place, fixed in enumerate(static) if not fixed]
        self._known: dict[tuple[Any, ...], Callable[..., Outputs]] = {}

    def __call__(self, *values: Any) -> Outputs:
        key = tuple(_shape(values[place]) for place in self._free)
        compiled = self._known.get(key)
        if compiled is None:
            compiled = self._known[key] = self._compiled(values)
        return compiled(*values)

    def _compiled(self, values: Sequence[Any]) -> Callable[..., Outputs]:
        """Returns the graph's library for inputs of these shapes; the graph where there is none."""
        places = [place for place in self._free if isinstance(values[place], Tensor)]
        try:
            closed = Closed(self._graph, values, places)
            self._demand_device(values)
            target = target_of(self._lasting)
            folder = folder_of([*closed.parts(values, self._lasting), target.encode()])
            if not is_tuned(folder) and not (folder / PROGRAM).exists():
                program = exported(closed, [values[place] for place in places])
                keep(folder, program, self._lasting, target)
            found = self._found(folder)
            if found is None:
                return self._by_torch()
            library = Library(self._graph, usable(found), closed, values, self._static, places)
            if found != folder:
                times = partial(is_faster, library, self._graph.forward, values)
                if not is_preferred(found, times):
                    return self._by_torch()
                warnings.warn(told(found), stacklevel=3)
            return library
        except Stopped:
            raise
        except Exception as error:  # whatever torch or the importer says of a graph
            why = (str(error).strip().splitlines() or [type(error).__name__])[0]
            warnings.warn(f"A graph is computed by torch: {why}", stacklevel=2)
            return self._graph.forward

    def _found(self, folder: Path) -> Path | None:
        """Returns the directory with the graph's library, which is tuned or compiled where asked.

        None is returned where there is no budget for tuning it, and no store knows its layers.
        """
        if is_tuned(folder):
            return folder
        if any(self._options.get(name) is not None for name in BUDGET):
            began = (folder / "run.json").exists()
            tune(folder / PROGRAM, out=folder, resume=began, **self._options)
            return folder
        return from_store(folder, self._options)

    def _by_torch(self) -> Callable[..., Outputs]:
        warnings.warn(
            "A graph is not tuned yet, and computed by torch; chameleon pending tunes it.",
            stacklevel=4,
        )
        return self._graph.forward

    @property
    def _lasting(self) -> dict[str, Any]:
        return {name: self._options[name] for name in LASTING if name in self._options}

    def _demand_device(self, values: Sequence[Any]) -> None:
        """Raises a ``UserError`` where a tensor is not where the library computes."""
        wanted = "cuda" if "cuda" in self._options.get("target", "llvm") else "cpu"
        for one in values:
            if isinstance(one, Tensor) and one.device.type != wanted:
                raise UserError(f"its tensors are on {one.device}, and its target is for {wanted}.")


def is_faster(
    library: Callable[..., Outputs], graph: Callable[..., Outputs], values: Sequence[Any]
) -> bool:
    """Whether a library with untuned layers takes less time than torch; each is called in turns."""
    least = [inf, inf]
    for _ in range(4):
        for place, compute in enumerate((library, graph)):
            began = perf_counter()
            compute(*values)
            least[place] = min(least[place], perf_counter() - began)
    return least[0] < least[1]


def usable(folder: Path) -> TunedModel:
    """Loads a graph's library at once, as a fault that a call meets would be the caller's.

    Raises:
        UserError: The library is for another CPU, or computes something else than torch.
    """
    model = load(folder)
    if not model.verified:
        raise UserError(f"{folder / 'model.so'} was found to compute something else; it is unused.")
    model.ready()
    return model


def exported(closed: torch.nn.Module, inputs: Sequence[Tensor]) -> torch.export.ExportedProgram:
    """Exports a module.

    Raises:
        UserError: It changes an input or a buffer, which a library does not.
    """
    program = torch.export.export(closed, tuple(inputs))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of torch about itself
        functional = program.run_decompositions({})  # only its signature names changes in place
    kinds = {spec.kind for spec in functional.graph_signature.output_specs}
    if kinds != {OutputKind.USER_OUTPUT}:
        raise UserError("it changes one of its inputs or buffers in place.")
    return program


class Closed(torch.nn.Module):
    """A graph whose parameters, buffers and numbers are constants."""

    def __init__(self, graph: torch.fx.GraphModule, values: Sequence[Any], free: list[int]) -> None:
        """Takes the graph, values of all its inputs, and the places of those that stay inputs.

        Raises:
            UserError: The graph has outputs that are no tensors, or returns an input as it is.
        """
        super().__init__()
        self._graph, self._values, self._free = graph, list(values), free
        (end,) = (node for node in graph.graph.nodes if node.op == "output")
        self.outputs = list(end.args[0])
        if strange := [one for one in self.outputs if not _is_computed(one)]:
            raise UserError(f"its output {strange[0]!r} is no tensor that it computes.")

    def forward(self, *inputs: Tensor) -> Any:
        values = list(self._values)
        for place, value in zip(self._free, inputs, strict=True):
            values[place] = value
        return self._graph(*values)

    def parts(self, values: Sequence[Any], options: Mapping[str, Any]) -> list[bytes]:
        """Returns all that the library depends on, as bytes."""
        parts = [one.encode() for one in (self._graph.code, repr(sorted(options.items())), modes())]
        for place, value in enumerate(values):
            parts.append(repr(_shape(value)).encode())
            if isinstance(value, Tensor) and place not in self._free:
                flat = value.detach().contiguous().reshape(-1)
                parts.append(np.asarray(flat.view(torch.uint8)).tobytes())
        return parts


def modes() -> str:
    """Returns the modes of torch that types in a graph depend on, and its code does not name."""
    cast = [
        torch.get_autocast_dtype(device)
        for device in ("cpu", "cuda")
        if torch.is_autocast_enabled(device)
    ]
    return f"{torch.get_default_dtype()} {cast}"


class Library:
    """A tuned graph, as long as its parameters are those that it was tuned with.

    Changes through ``Tensor.data`` are not counted by torch, and so not noticed.
    """

    def __init__(
        self,
        graph: torch.fx.GraphModule,
        model: Callable[..., Any],
        closed: Closed,
        values: Sequence[Any],
        static: list[int],
        free: list[int],
    ) -> None:
        self._graph, self._model, self._static, self._free = graph, model, static, free
        self._several = len(closed.outputs) > 1
        self._kept = [
            values[place].detach() for place in static
        ]  # so that no other takes its place
        self._states = [_state(values[place]) for place in static]

    def __call__(self, *values: Any) -> Outputs:
        if [_state(values[place]) for place in self._static] != self._states:
            return self._graph(*values)  # a parameter was changed or replaced
        outputs = self._model(*[values[place] for place in self._free])
        listed = outputs if self._several else (outputs,)
        return listed if self._free else [torch.from_numpy(one) for one in listed]


def _state(tensor: Tensor) -> tuple[int, int]:
    return tensor.data_ptr(), tensor._version


def _shape(value: Any) -> Any:
    """Returns what a library is made for: shape and type of a tensor, the value of a number."""
    if isinstance(value, Tensor):
        return tuple(value.shape), str(value.dtype)
    return int(value)


def _is_computed(output: Any) -> bool:
    computed = isinstance(output, torch.fx.Node) and output.op != "placeholder"
    return computed and isinstance(output.meta.get("example_value"), Tensor)
