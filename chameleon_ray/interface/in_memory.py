"""Models in memory, as the files that a run imports: so a run can be resumed without them."""

import os
from collections.abc import Mapping, Sequence
from operator import index
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np

from chameleon_ray.compiler.frontend import zoo
from chameleon_ray.errors import UserError
from chameleon_ray.folder import file_name

EXAMPLES = "examples.npz"
"""File of the example inputs of a model that is no torch module."""


def name_of(model: Any) -> str:
    """Returns a model's name for people and directories."""
    if isinstance(model, str | os.PathLike):
        return os.fspath(model)
    graph = getattr(model, "graph", None)
    own = getattr(graph, "name", None) if hasattr(model, "SerializeToString") else None
    return file_name(own or type(model).__name__)


def spec_of(model: Any, example_inputs: Any, folder: Path) -> tuple[str, tuple[str, ...]]:
    """Returns what a run takes for a model: its specification, and its example inputs.

    Args:
        model: A specification already, a torch module, a program of ``torch.export``, or an ONNX
            ``ModelProto``.
        example_inputs: Arguments of a module's call: a tuple, a mapping by name, or one tensor.
            For another model its inputs by name.
        folder: Directory that models in memory are written to.

    Raises:
        UserError: The model is none of these, cannot be exported, or the inputs do not suit it.
    """
    if isinstance(model, str | os.PathLike):
        return os.fspath(model), _examples(example_inputs, folder)
    if hasattr(model, "SerializeToString"):
        return _onnx(model, folder), _examples(example_inputs, folder)
    if hasattr(model, "forward") or hasattr(model, "graph_signature"):
        return _program(model, example_inputs, folder), ()
    raise UserError(
        f"A model of type {type(model).__name__} cannot be tuned; give a torch.nn.Module, a "
        "program of torch.export, an ONNX ModelProto, a file's path, or a name of the zoo."
    )


def batches_of(buckets: Any) -> tuple[int, ...]:
    """Returns the batches that ``buckets=`` lists; none where it is None or an empty list.

    Raises:
        UserError: They are no whole numbers from 1 on, or one is listed twice.
    """
    if buckets is None or (isinstance(buckets, tuple | list) and not buckets):
        return ()
    try:
        whole = not isinstance(buckets, str | bytes | Mapping)
        batches = tuple(map(index, buckets)) if whole else ()
    except TypeError:
        batches = ()
    if not batches or min(batches) < 1 or any(isinstance(one, bool) for one in buckets):
        raise UserError(f"buckets= takes batches from 1 on, as (1, 2, 4), not {buckets!r}.")
    if twice := [one for one in batches if batches.count(one) > 1]:
        raise UserError(f"buckets= lists the batch {twice[0]} twice; list each batch once.")
    return batches


def bucketed_spec_of(
    model: Any, example_inputs: Any, batches: Sequence[int], folder: Path
) -> tuple[str, tuple[str, ...]]:
    """Returns what a run takes for a model with several batches: its specification, and inputs.

    Args:
        model: A torch module, or a name of the zoo.
        example_inputs: Arguments of a module's call, as for ``spec_of``.
        batches: The batches.
        folder: Directory that the module is written to.

    Raises:
        UserError: The model is neither, or its batch cannot be left open.
    """
    listed = "{" + ",".join(map(str, batches)) + "}"
    if isinstance(model, str | os.PathLike):
        known = zoo.inputs(os.fspath(model))
        if known is None:
            raise UserError(
                f"buckets= is for modules and names of the zoo; for {model} list them as "
                f'inputs=["x:{listed}x3x224x224"], with the names of its inputs.'
            )
        return os.fspath(model), tuple(
            f"{name}:{','.join([listed, *map(str, shape[1:])])}" for name, shape in known.items()
        )
    if not hasattr(model, "forward"):
        raise UserError(
            "buckets= is for torch modules and names of the zoo; for another model list them as "
            f'inputs=["x:{listed}x3x224x224"].'
        )
    path = _program(model, example_inputs, folder, open_batch=True)
    from chameleon_ray.compiler.frontend.torch.torch_module import declared_by

    texts = []
    for one in declared_by(Path(path)):
        sizes = [listed if isinstance(size, str) else str(size) for size in one.shape]
        texts.append(f"{one.name}:{','.join(sizes)}:{one.dtype}")
    return path, tuple(texts)


def _onnx(model: Any, folder: Path) -> str:
    path = folder / f"{name_of(model)}.onnx"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.SerializeToString())
    return str(path)


def _program(model: Any, example_inputs: Any, folder: Path, open_batch: bool = False) -> str:
    """Writes a torch module's program to a file, for any batch where that is to be open."""
    import torch

    from chameleon_ray.compiler.frontend.torch.arguments import of_examples
    from chameleon_ray.compiler.frontend.torch.exporting import export

    path = folder / f"{name_of(model)}.pt2"
    program = model
    if not hasattr(model, "graph_signature"):
        if example_inputs is None:
            raise UserError("A torch module needs example_inputs, as tune(module, (tensor,)).")
        modes = [(one, one.training) for one in model.modules()]
        try:
            arguments = of_examples("example_inputs", example_inputs)
            program = export(name_of(model), model.eval(), arguments, open_batch)
        finally:
            for one, training in modes:
                one.training = training
    folder.mkdir(parents=True, exist_ok=True)
    torch.export.save(program, path)
    return str(path)


def _examples(inputs: Any, folder: Path) -> tuple[str, ...]:
    """Writes example inputs by name to a file; there is none where nothing is given."""
    if inputs is None:
        return ()
    if not isinstance(inputs, Mapping):
        raise UserError(
            "The example_inputs of this model must be a mapping of its inputs' names to arrays."
        )
    path = folder / EXAMPLES
    folder.mkdir(parents=True, exist_ok=True)
    write_arrays(path, {name: np.asarray(one) for name, one in inputs.items()})
    return (str(path),)


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes arrays as ``numpy.savez`` does, which takes none called ``file``: a name of its own.

    Raises:
        ValueError: An array is of Python objects.
    """
    with ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, array, allow_pickle=False)
