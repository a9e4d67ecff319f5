"""Layers as calls of a vendor's functions: code for the host that launches the vendor's kernels."""

from collections.abc import Sequence
from tempfile import NamedTemporaryFile
from typing import Any

import numpy as np
import tvm
from tvm import te

from chameleon_ray.compiler.codegen.cuda_library import Library
from chameleon_ray.compiler.spaces.sketch import InvalidConfig
from chameleon_ray.compiler.spaces.vendor.calls import calls
from chameleon_ray.compiler.spaces.vendor.epilogue import ACTIVATIONS
from chameleon_ray.compiler.spaces.vendor.layer import Call
from chameleon_ray.compiler.tvm_process import UNCHECKED
from chameleon_ray.measure.measurer import Artifact
from chameleon_ray.space import Config
from chameleon_ray.vendor import CALLS, library_of

PREFIX = "chameleon.vendor.v1"
"""Beginning of the names under which ``vendor/register.c`` registers its functions."""
TYPES = ("float32", "float16", "bfloat16")
"""Types in the order of their numbers in ``glue.h``."""
WORKSPACE = 32 << 20
"""Bytes of memory that an algorithm may use while it runs."""


def called(module: Any, config: Config) -> Any:
    """Makes a layer's module whose ``main`` calls a library in place of its loops.

    Args:
        module: IRModule with one PrimFunc ``main``; its parameters are kept.
        config: A vendor's configuration.

    Raises:
        InvalidConfig: The library has no function for the layer.
    """
    library = library_of(config)
    call = calls(module).get(library)
    if call is None:
        raise InvalidConfig(f"{library} has no function for this layer.")
    function = _function(module, call, config[2]).with_attr("global_symbol", "main")
    return tvm.IRModule({"main": function.with_attr(CALLS, library)})


def is_called(module: Any) -> bool:
    """Whether the ``main`` of a module calls a library."""
    return CALLS in (module["main"].attrs or {})


def compile_call(module: Any, target: Any) -> Artifact:
    """Compiles a module of ``called``; the library that it calls need not be there."""
    with tvm.transform.PassContext(opt_level=3, config=UNCHECKED):
        built = tvm.compile(module, target=target)
    with NamedTemporaryFile(suffix=".ll") as file:
        built.mod.write_to_file(file.name, "ll")
        return Artifact(Library(file.read(), b"", "").dumps())


def _function(module: Any, call: Call, algorithm: int) -> Any:
    main = module["main"]
    buffers = list(main.params)
    *inputs, output = [
        te.placeholder([int(n) for n in b.shape], str(b.dtype), b.name) for b in buffers
    ]

    def body(ins: Any, outs: Any) -> Any:
        result, workspace = outs
        bias, residual = call.epilogue.bias, call.epilogue.residual
        used = [
            *(ins[n] for n in call.operands),
            *(result if n is None else ins[n] for n in (bias, residual)),
        ]
        used.append(result)
        first, second, third = call.shapes
        shapes = (first, second, [int(n) for n in used[2].shape], third, third)
        tensors = [_tensor(buffer, shape) for buffer, shape in zip(used, shapes, strict=True)]
        dtypes = [str(buffer.dtype) for buffer in used]
        scale = (_bits(call.epilogue.scale),) if call.function == "matmul" else ()
        numbers = (*_numbers(call, algorithm, dtypes), *call.geometry, *scale)
        return tvm.tirx.call_packed(f"{PREFIX}.{call.function}", *tensors, workspace, *numbers)

    results = te.extern(
        [output.shape, (WORKSPACE,)],
        inputs,
        body,
        dtype=[output.dtype, "uint8"],
        name="vendor",
    )
    return te.create_prim_func([*inputs, results[0]]).with_attr("tirx.is_scheduled", True)


def _numbers(call: Call, algorithm: int, dtypes: Sequence[str]) -> tuple[int, ...]:
    """Returns the numbers that all functions take first (``glue.h``).

    Args:
        call: The call.
        algorithm: Rank of the algorithm.
        dtypes: Types of its tensors, the workspace's left out.
    """
    epilogue = call.epilogue
    types = sum(TYPES.index(dtype) << 2 * place for place, dtype in enumerate(dtypes))
    operands = (epilogue.bias is not None) + 2 * (epilogue.residual is not None)
    activation = list(ACTIVATIONS).index(epilogue.activation)
    return operands, activation, int(call.tf32), types, algorithm


def _bits(number: float) -> int:
    """Returns the bits of a float64 as an integer, as functions take integers only."""
    return int(np.float64(number).view(np.int64))


def _tensor(buffer: Any, shape: Sequence[int]) -> Any:
    """Makes a tensor of a buffer's elements, in another shape.

    Its type has the right size only, as TVM makes bfloat16 another type.
    """
    return tvm.tirx.call_intrin(
        "handle",
        "tirx.tvm_stack_make_array",
        buffer.data,
        tvm.tirx.call_intrin("handle", "tirx.tvm_stack_make_shape", *shape),
        0,
        len(shape),
        tvm.tirx.const(0, "float32" if str(buffer.dtype) == "float32" else "int16"),
        buffer.elem_offset,
    )
