"""Extracts a model's tasks: its distinct layers with weight, FLOP and design space."""

import hashlib
import json
import math
from collections import defaultdict
from dataclasses import replace
from typing import Any

import tvm
import tvm_ffi
from tvm import relax
from tvm.ir import Call, GenericConst

from chameleon_ray.compiler.kind import TargetKind
from chameleon_ray.compiler.origin import Origin, origin_of
from chameleon_ray.compiler.relax import bindings_of, operator
from chameleon_ray.compiler.spaces.design import design
from chameleon_ray.compiler.spaces.operations import operations
from chameleon_ray.space import DesignSpace
from chameleon_ray.task import Constants, Task


def extract(module: Any, target: str, kind: TargetKind) -> list[Task]:
    """Returns every layer once, equal ones merged, in the order of their first calls.

    Args:
        module: Relax module as ``lower`` gives it.
        target: TVM target, as JSON.
        kind: Kind of the target.
    """
    calls = defaultdict[str, list[Call]](list)
    bound = {binding.value: origin_of(binding.var) for binding in bindings_of(module)}
    every = _calls(module)
    variables = dict.fromkeys(call.args[0] for call in every)
    digests = {variable: layer_digest(module[variable], target) for variable in variables}
    for call in every:
        calls[digests[call.args[0]]].append(call)
    distance, tasks = distance_of(module), []
    for digest, found in calls.items():
        variable, origins = found[0].args[0], [bound.get(call) or Origin("") for call in found]
        task = task_of(module[variable], variable.name_hint, digest, len(found), target, kind)
        nodes, what = tuple(o.name for o in origins), next((o.what for o in origins if o.what), "")
        constants = constants_of(found[0], distance)
        tasks.append(replace(task, nodes=nodes, what=what, constants=constants))
    return tasks


def constants_of(call: Call, distance: int) -> Constants:
    """Finds the constants among the arguments of a layer's call.

    Args:
        call: Call of the layer's loops.
        distance: Reuse distance of the model's constants, in bytes.
    """
    arguments = enumerate(call.args[1].fields)
    return Constants(tuple(n for n, one in arguments if isinstance(one, GenericConst)), distance)


def distance_of(module: Any) -> int:
    """Returns the bytes of all constants that one run of a model reads."""
    fields = (field for call in _calls(module) for field in call.args[1].fields)
    constants = (field for field in fields if isinstance(field, GenericConst))
    return sum(_bytes(tuple(map(int, one.ty.shape)), str(one.ty.dtype)) for one in constants)


def layer_digest(function: Any, target: str) -> str:
    """Names a layer on a target by structure, not by name (16 hex digits)."""
    structure = tvm_ffi.structural_hash(layer_module(function))
    return hashlib.sha256(f"{structure} {target}".encode()).hexdigest()[:16]


def layer_module(function: Any) -> Any:
    """Makes one layer a module of its own, as builders and MetaSchedule want it."""
    return tvm.IRModule({"main": function.with_attr("global_symbol", "main")})


def _calls(module: Any) -> list[Call]:
    """Lists the calls of PrimFuncs from the module's Relax functions, in order."""
    found = list[Call]()

    def visit(expression: Any) -> None:
        if operator(expression) in ("relax.call_tir", "relax.call_tir_inplace"):
            found.append(expression)

    for function in module.functions.values():
        if isinstance(function, relax.Function):
            relax.analysis.post_order_visit(function, visit)
    return found


def is_layer(function: Any) -> bool:
    """Whether a function of a module is loops."""
    return isinstance(function, tvm.tirx.PrimFunc)


def task_of(
    function: Any, name: str, digest: str, weight: float, target: str, kind: TargetKind
) -> Task:
    """Makes the task of a layer, with its design space.

    Args:
        function: Loops of the layer.
        name: Its name in the model.
        digest: Its digest.
        weight: How often the model calls it.
        target: TVM target, as JSON.
        kind: Kind of the target.
    """
    module = layer_module(function)
    if not _static(function):
        return Task(name, digest, target, weight, 0.0, DesignSpace(()), b"", "dynamic shape")
    space, program = design(module, tvm.target.Target(json.loads(target)), kind)
    vendor = kind.vendor(module)
    shapes = ", ".join("x".join(map(str, shape)) or "1" for shape, _ in program.arguments)
    traffic = float(sum(_bytes(*argument) for argument in program.arguments))
    flop = operations(module)
    return Task(
        name, digest, target, weight, flop, space, program.dumps(), shapes, traffic, vendor=vendor
    )


def _bytes(shape: tuple[int, ...], dtype: str) -> int:
    """Returns the bytes of an array."""
    return math.prod(shape) * max(tvm.DataType(dtype).bits // 8, 1)


def _static(function: Any) -> bool:
    shapes = [param.ty.shape for param in function.params if hasattr(param.ty, "shape")]
    fixed = all(isinstance(extent, tvm.tirx.IntImm) for shape in shapes for extent in shape)
    return fixed and len(shapes) == len(function.params)
