"""MetaSchedule's side of ``bench_vs_metaschedule.py``: tunes a model, keeps its log and library.

That script starts it as a process of its own: ``bench_metaschedule.py JOB.json``. Nothing of this
project's search, templates or lowering is used; only the import of the model is shared, which is
TVM's. Measurements are appended to ``measurements.jsonl``, a line per batch. MetaSchedule takes
note of a batch only when it next turns to the same task, so the runner keeps the times.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

MANY = 1_000_000
"""Trials over all tasks; what ends the tuning is the number per task, or the time."""
ENOUGH = "enough"
"""The file that says that the time was up, and not that something failed."""
HOPELESS = "MetaSchedule measured nothing in its first batch; its first failure:"
"""How the error begins where nothing can be compiled or run at all."""


@dataclass(frozen=True)
class Job:
    """What to tune and how.

    Attributes:
        target: Complete, as JSON.
        folder: Of the work directory, the log and the library; it exists.
        trials: Most per task.
        batch: Most of one batch.
        minutes: Wall time after which no batch is begun once every task has a latency; no limit
            where None.
        overtime: Factor of the minutes after which no batch is begun in any case. Tasks without a
            latency get TVM's default schedules then.
        strategy: TVM's name of the search.
        short_imports: Whether the 20 s that TVM takes to parse the tensor intrinsics of every
            target are saved MetaSchedule, in its own process and in its workers.
        cores: What timing is bound to; as many threads.
        began: ``time.time()`` of the command.
    """

    model: str
    target: str
    folder: str
    trials: int
    batch: int
    minutes: float | None
    seed: int
    short_imports: bool
    cores: tuple[int, ...]
    began: float
    overtime: float = 2.0
    strategy: str = "evolutionary"

    def write(self) -> Path:
        path = Path(self.folder) / "job.json"
        path.write_text(json.dumps(asdict(self), indent=2) + "\n")
        return path


def main() -> None:
    """Tunes, compiles, and says last that it is done."""
    fields = json.loads(Path(sys.argv[1]).read_text())
    job = Job(**{**fields, "cores": tuple(fields["cores"])})
    from chameleon_ray.compiler.frontend.inputs import ModelError

    try:
        tune(job)
    except ModelError as error:
        raise SystemExit(f"Error: {error}") from error


def tune(job: Job) -> None:
    """Everything from the import of the model to its compiled library."""
    import tvm
    from tvm import relax
    from tvm.s_tir import meta_schedule as ms

    from chameleon_ray.compiler.codegen.link import link
    from chameleon_ray.compiler.frontend.load import load

    imports(job.short_imports, kind(job))()
    target, folder = tvm.target.Target(json.loads(job.target)), Path(job.folder)
    module = prepared(load(job.model, seed=job.seed).module, target)
    database = ms.database.JSONDatabase(work_dir=job.folder)
    with target:
        fused = relax.get_pipeline("zero")(module)
    try:
        tune_relax(job, fused, target, database)
    except Exception:
        if not (folder / ENOUGH).exists():
            raise
    tuned = time.time() - job.began
    # it fuses by itself: given the fused module it would apply nothing
    executable = ms.relax_integration.compile_relax(database, module, target, None)
    executable.export_library(str(folder / "model.so"), fcompile=link)
    done = {"tuned_seconds": tuned, "wall_seconds": time.time() - job.began}
    (folder / "done.json").write_text(json.dumps(done) + "\n")


def tune_relax(job: Job, module: Any, target: Any, database: Any) -> None:
    """TVM's own, with its own defaults where nothing is said."""
    from tvm.s_tir import meta_schedule as ms

    stamps: dict[str, float] = {}
    watch = watcher(job, stamps)
    ms.relax_integration.tune_relax(
        mod=module,
        params={},
        target=target,
        work_dir=job.folder,
        max_trials_global=MANY,
        max_trials_per_task=job.trials,
        num_trials_per_iter=min(job.trials, job.batch),
        builder=ms.builder.LocalBuilder(initializer=imports(job.short_imports, kind(job))),
        runner=timed_runner(job, stamps),
        strategy=job.strategy,
        database=database,
        measure_callbacks=[*ms.measure_callback.MeasureCallback.create("default"), watch],
        seed=job.seed,
    )


def kind(job: Job) -> str:
    """Of its target."""
    return str(json.loads(job.target)["kind"])


def prepared(module: Any, target: Any) -> Any:
    """The model for inference by TVM's own passes: batch norms folded, constants computed."""
    import tvm
    from tvm.relax import transform

    passes = [
        transform.FoldBatchnormToConv2D(),
        transform.FoldConstant(),
        transform.DecomposeOpsForInference(),
        transform.CanonicalizeBindings(),
    ]
    with target:
        return tvm.transform.Sequential(passes)(module)


def imports(short: bool, kind: str) -> Callable[[], None]:
    """What a worker imports before its timeout begins; stock ones do it inside, and fail."""

    def initializer() -> None:
        if kind == "cuda":
            from chameleon_ray.compiler.codegen import cuda_compiler

            cuda_compiler.demand()  # loads the NVRTC of this engine, which TVM's bindings then take
        if short:
            from chameleon_ray.compiler.tvm_process import register_intrinsics

            register_intrinsics("cuda" if kind == "cuda" else "x86")
        else:
            import tvm.s_tir.tensor_intrin  # noqa: F401

    return initializer


def bound(cores: tuple[int, ...]) -> Callable[[], None]:
    """Binds the worker that times to the cores that the engine times on, too."""

    def initializer() -> None:
        import os

        os.sched_setaffinity(0, cores)

    return initializer


def timed_runner(job: Job, stamps: dict[str, float]) -> Any:
    """TVM's LocalRunner, which times one by one; ``stamps`` gets when, by the artifact's path."""
    from tvm.ir.utils import derived_object
    from tvm.s_tir.meta_schedule.runner import LocalRunner

    @derived_object
    class TimedRunner(LocalRunner._cls):
        def run(self, runner_inputs: Any) -> list[Any]:
            """Called by MetaSchedule with a batch."""
            futures = []
            for one in runner_inputs:
                futures += super().run([one])
                stamps[str(one.artifact_path)] = time.time() - job.began
            return futures

    return TimedRunner(initializer=bound(job.cores))


def watcher(job: Job, stamps: dict[str, float]) -> Any:
    """A callback that writes what was measured and when, and raises once the time is up."""
    from tvm.ir.utils import derived_object
    from tvm.s_tir.meta_schedule.measure_callback import PyMeasureCallback

    folder, seen = Path(job.folder), set()

    @derived_object
    class Watcher(PyMeasureCallback):
        def apply(
            self,
            task_scheduler: Any,
            task_id: int,
            measure_candidates: Any,
            builder_results: Any,
            runner_results: Any,
        ) -> None:
            """Called by MetaSchedule after each batch."""
            task, now = task_scheduler.tasks_[task_id], time.time() - job.began
            found = [latency(result) for result in runner_results]
            when = [stamps.get(str(built.artifact_path), 0.0) for built in builder_results]
            line = {
                "task": int(task_id),
                "name": str(task.ctx.task_name),
                "weight": float(task.task_weight),
                "tasks": len(task_scheduler.tasks_),
                "seconds": [one or max(when) or now for one in when],
                "latencies": found,
            }
            with (folder / "measurements.jsonl").open("a") as log:
                log.write(json.dumps(line) + "\n")
            if any(found):
                seen.add(int(task_id))
            if not seen:
                raise RuntimeError(f"{HOPELESS} {failure(builder_results, runner_results)}")
            if over(job, now, len(seen) == line["tasks"]):
                (folder / ENOUGH).touch()
                raise TimeoutError("The time is up.")

    return Watcher()


def over(job: Job, now: float, complete: bool) -> bool:
    """Whether the time is up after ``now`` seconds, where every task has a latency or not."""
    share = 0.0 if job.minutes is None else now / (60 * job.minutes)
    return share > job.overtime or (share > 1 and complete)


def latency(result: Any) -> float | None:
    """Mean of a candidate's timings in seconds; None where it failed."""
    if result.run_secs is None:
        return None
    timings = [float(seconds) for seconds in result.run_secs]
    return sum(timings) / len(timings)


def failure(builder_results: Any, runner_results: Any) -> str:
    """The first error of a batch, on one line."""
    for one in (*builder_results, *runner_results):
        if one.error_msg:
            lines = str(one.error_msg).strip().splitlines()
            said = [line for line in lines if "error" in line.lower()] or lines
            return " ".join(said[-1].split())[:300]
    return "none was told"


if __name__ == "__main__":
    os.environ.setdefault("TVM_BACKTRACE", "0")
    main()
