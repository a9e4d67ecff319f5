"""TVM's pass that lowers a Relax module as a run does, and puts winners into its layers."""

import json
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any

import tvm

from chameleon_ray.compiler.apply import schedule_layers
from chameleon_ray.compiler.kind import TargetKind
from chameleon_ray.compiler.passes.lower import lowerings
from chameleon_ray.compiler.spaces.extract import is_layer
from chameleon_ray.compiler.spaces.lowerings import composed, extract_all
from chameleon_ray.space import Config
from chameleon_ray.task import Task

Find = Callable[[Sequence[Task]], Mapping[str, Config]]
"""Returns configurations for layers, by digest; layers that are left out keep their default."""


def winners_pass(
    find: Find, kind: TargetKind, target: str, layout: str = "auto", precision: str = "float32"
) -> Any:
    """Makes the pass, a ``tvm.transform.Pass`` over modules.

    Its input is an importer's module: ``main`` calls operators of Relax. Its output has a loop nest
    for each layer, and is ready for ``tvm.compile`` or TVM's default pipeline.

    Args:
        find: Finds the winners.
        kind: Kind of the target, a CPU's.
        target: Complete target, as JSON. All loops are compiled for it, whatever target the module
            is built for.
        layout: Layout of convolutions; see ``lower``.
        precision: Precision of products; see ``lower``.
    """

    def apply(module: Any, context: Any) -> Any:
        kind.warm()
        made = tvm.target.Target(json.loads(target))

        def lowered() -> Any:
            return lowerings(module, made, kind, layout, precision=precision)

        others = lowered()
        first = next(others)
        tasks = extract_all(first, others, target, kind)
        winners = find(tasks)
        whole = composed(first, islice(lowered(), 1, None), winners, target)
        scheduled, _ = schedule_layers(whole, {t.digest: t for t in tasks}, winners, kind)
        functions = {
            name: function.with_attr("target", made) if is_layer(function) else function
            for name, function in scheduled.functions.items()
        }
        return tvm.IRModule(functions, attrs=module.attrs, global_infos=module.global_infos)

    return tvm.transform.module_pass(apply, opt_level=0, name="ApplyWinners")
