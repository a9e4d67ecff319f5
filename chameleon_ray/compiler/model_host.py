"""The host of a model: the one process that holds it, from its import to the tuned library.

The weights stay in this process. Only tasks, example arrays and files on disk leave it.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from chameleon_ray.compiler.kind import TargetKind
from chameleon_ray.compiler.model_jobs import (
    CompileGraphs,
    CompileTuned,
    CompileUntuned,
    Job,
    Prepare,
    Tuned,
)
from chameleon_ray.compiler.notes import Notes
from chameleon_ray.compiler.prepared import Prepared
from chameleon_ray.compiler.tvm_process import block_torch
from chameleon_ray.graph.footprint import Footprint
from chameleon_ray.importing import uncollected
from chameleon_ray.measure.free_memory import give_back
from chameleon_ray.plugins import demand, loaded
from chameleon_ray.space import Config
from chameleon_ray.task import Task


class ModelHost:
    """Does the jobs on a model, inside the model's process."""

    def __init__(self, kind: TargetKind) -> None:
        """Takes the kind of all targets that models are to be compiled for."""
        self._kind = self._extended = kind
        self._model: Any = None
        self._lowered: Any = None
        self._lower: Callable[[], Iterator[Any]] = lambda: iter(())
        self._tuned: Any = None
        self._tasks: dict[str, Task] = {}
        self._target, self._precision = "", "float32"

    def __call__(self, job: Job) -> Any:
        return job.run(self)

    def _load(self, job: Prepare) -> Any:
        """Imports the model, and templates of other packages; returns the model's target."""
        if job.spec.endswith(".onnx"):
            block_torch()
        with uncollected():
            self._kind.preload()
            import tvm

            from chameleon_ray.compiler.frontend.examples import given
            from chameleon_ray.compiler.frontend.load import load

        others = [loaded("template", demand("template", name)) for name in job.templates]
        own = self._kind.templates
        self._extended = replace(self._kind, templates=lambda: (*others, *own()))
        self._target = self._kind.resolve(job.target, job.threads)
        self._kind.demand_compiler(self._target)
        self._kind.demand_precision(self._target, job.precision)
        self._precision = job.precision
        self._model = load(job.spec, given(job.inputs, job.examples), job.seed)
        return tvm.target.Target(json.loads(self._target))

    def weigh(self, job: Prepare) -> Footprint:
        """Imports the model and finds out how much memory it takes in several orders.

        Raises:
            ModelError: The model's memory cannot be planned.
        """
        target = self._load(job)
        from chameleon_ray.compiler.frontend.inputs import ModelError
        from chameleon_ray.compiler.passes.memory.lower_aware import compare
        from chameleon_ray.compiler.passes.memory.plan import Unplannable

        assert job.memory is not None
        try:
            name, module = self._model.name, self._model.module
            return compare(name, module, target, self._kind, job.layout, job.memory)[0]
        except Unplannable as reason:
            raise ModelError(
                f"The memory of {job.spec} cannot be planned: {reason}; give a model without."
            ) from reason

    def prepare(self, job: Prepare) -> Prepared:
        """Imports the model, keeps it, and extracts its layers."""
        began, notes = time.perf_counter(), Notes()
        target = self._load(job)
        from chameleon_ray.compiler.frontend.precision import precision_of
        from chameleon_ray.compiler.passes.lower import layout_of, precisions_of
        from chameleon_ray.compiler.passes.memory.lower_aware import lowerings_aware
        from chameleon_ray.compiler.spaces.lowerings import extract_all

        imported, name, module = time.perf_counter(), self._model.name, self._model.module
        layout = layout_of(module, self._kind, job.layout, job.precision)
        asked = (target, self._kind, layout, job.memory, job.precision)
        self._lower = partial(lowerings_aware, name, module, *asked)
        others = self._lower()
        self._lowered = next(others)
        tasks = extract_all(self._lowered, others, self._target, self._extended)
        self._tasks = {task.digest: task for task in tasks}
        own, kept = precision_of(module), precisions_of(self._kind, layout, job.precision)
        extracted = time.perf_counter()
        return Prepared(
            name=self._model.name,
            digest=self._model.digest,
            target=self._target,
            tasks=tuple(tasks),
            examples=self._model.examples,
            reference_name=self._model.reference_name,
            precision=own.with_products(kept[0]),
            untuned_precision=own.with_products(kept[1]),
            layout=layout,
            input_names=tuple(spec.name for spec in self._model.inputs),
            outputs=self._model.outputs,
            notes=tuple(dict.fromkeys(notes.taken())),
            seconds={"import": imported - began, "extract": extracted - imported},
        )

    def compile_untuned(self, job: CompileUntuned) -> None:
        """Compiles the kept model as it was imported, and gives back memory for the search.

        Raises:
            UncompilableError: TVM cannot compile it.
        """
        from chameleon_ray.compiler.apply import compile_as_imported

        model, where = self._model, (self._target, self._kind, job.path)
        compile_as_imported(model.name, model.module, *where, self._precision)
        give_back()

    def compile_tuned(self, job: CompileTuned) -> Tuned:
        """Compiles the kept model; returns what became of the winners."""
        from chameleon_ray.compiler.apply import compile_model

        self._tuned, tuned = self.schedule(job.winners, job.database)
        compile_model(self._tuned, self._target, self._kind, job.path)
        return tuned

    def schedule(
        self, winners: Mapping[str, tuple[Config, float]], database: Path
    ) -> tuple[Any, Tuned]:
        """Returns the kept model as winners schedule it, and what became of them.

        The winners are exported as a MetaSchedule database, too.
        """
        from chameleon_ray.compiler.apply import export_database, layers_of, schedule_layers
        from chameleon_ray.compiler.spaces.lowerings import composed

        others, kind = islice(self._lower(), 1, None), self._kind
        model = composed(self._lowered, others, winners, self._target)
        functions = layers_of(model, self._target)
        configs = {digest: config for digest, (config, _) in winners.items()}
        scheduled, applied = schedule_layers(model, self._tasks, configs, kind)
        export_database(database, self._tasks, winners, kind)
        return scheduled, Tuned(frozenset(applied), functions)

    def compile(self, module: Any, target: str, path: Path) -> None:
        """Compiles a scheduled module, whatever model is kept."""
        self._kind.preload()
        from chameleon_ray.compiler.apply import compile_model

        compile_model(module, target, self._kind, path)

    def compile_graphs(self, job: CompileGraphs) -> bool:
        """Compiles the model that was tuned last; returns whether it has any graph.

        There is no library where it has none.
        """
        from chameleon_ray.compiler.apply import compile_graphs

        return compile_graphs(self._tuned, self._target, self._kind, job.path)


def model_host(kind: TargetKind) -> ModelHost:
    """Makes the handler of jobs in the model's process."""
    return ModelHost(kind)
