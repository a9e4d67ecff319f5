"""The jobs of a model's host, which are sent to its process."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from chameleon_ray.compiler.entries import joined
from chameleon_ray.compiler.frontend.examples import given
from chameleon_ray.compiler.frontend.load import demand
from chameleon_ray.compiler.prepared import Prepared
from chameleon_ray.graph.footprint import Footprint
from chameleon_ray.options import Request, Scheduling
from chameleon_ray.space import Config


@dataclass(frozen=True)
class Tuned:
    """What became of a model's winners.

    Attributes:
        applied: Digests of the winners that were applied.
        functions: Digest of the layer that each function of the library is, by its name.
    """

    applied: frozenset[str]
    functions: Mapping[str, str]


class Host(Protocol):
    """The part of ``ModelHost`` that these jobs use."""

    def prepare(self, job: "Prepare") -> Prepared: ...

    def weigh(self, job: "Prepare") -> Footprint: ...

    def compile_untuned(self, job: "CompileUntuned") -> None: ...

    def compile_tuned(self, job: "CompileTuned") -> Tuned: ...

    def compile_graphs(self, job: "CompileGraphs") -> bool: ...

    def schedule(
        self, winners: Mapping[str, tuple[Config, float]], database: Path
    ) -> tuple[Any, Tuned]: ...

    def compile(self, module: Any, target: str, path: Path) -> None: ...


@dataclass(frozen=True)
class Prepare:
    """A job that imports a model for a target and extracts its layers.

    Attributes:
        spec: Zoo name, file, or ``module:factory``.
        inputs: Inputs that the user gave, as ``NAME:SHAPE[:DTYPE]`` or ``NAME=VALUE``.
        examples: Example inputs that the user gave, as ``FILE.npz`` or ``NAME=FILE.npy``.
        seed: Seed of the zoo's weights, of a factory's, and of the example inputs.
        target: Target as ``llvm``, ``cuda:ARCH`` or JSON.
        threads: Number of threads that a kernel may use.
        layout: Layout of convolutions, ``NHWC``, ``NCHW`` or ``auto``.
        precision: Precision of the products that are of float32 in the model, or of their weights.
        memory: Settings of finding the order that takes least memory; None for the model's own
            order.
        templates: Names of other packages' templates that are tried on each layer before the kind's
            own.
    """

    spec: str
    inputs: tuple[str, ...]
    examples: tuple[str, ...]
    seed: int
    target: str
    threads: int
    layout: str
    precision: str = "float32"
    memory: Scheduling | None = None
    templates: tuple[str, ...] = ()

    @staticmethod
    def of(request: Request, threads: int, memory: Scheduling | None) -> "Prepare":
        """Makes the job of a request; ``threads`` and ``memory`` are the job's own.

        Raises:
            UserError: There is no such model, or no such input, as far as that is known before.
        """
        demand(request.model, given(request.inputs, request.examples))
        return Prepare(
            spec=request.model,
            inputs=request.inputs,
            examples=request.examples,
            seed=request.seed,
            target=request.target,
            threads=threads,
            layout=request.layout,
            precision=request.precision,
            memory=memory,
            templates=request.template,
        )

    def run(self, host: Host) -> Prepared:
        return host.prepare(self)


@dataclass(frozen=True)
class Weigh:
    """A job that finds out how much memory a model takes in several orders.

    Attributes:
        prepare: Import of the model, with settings in ``memory``.
    """

    prepare: Prepare

    def run(self, host: Host) -> Footprint:
        return host.weigh(self.prepare)


@dataclass(frozen=True)
class CompileUntuned:
    """A job that compiles the model as TVM does without tuning.

    Attributes:
        path: File of the shared library.
    """

    path: Path

    def run(self, host: Host) -> None:
        host.compile_untuned(self)


@dataclass(frozen=True)
class Expose:
    """A job that copies an ONNX file, with the values inside as outputs.

    Attributes:
        path: The file.
        copy: File of the copy.
    """

    path: Path
    copy: Path

    def run(self, host: Host) -> dict[str, str]:
        from chameleon_ray.compiler.frontend.onnx.exposed import expose

        return expose(self.path, self.copy)


@dataclass(frozen=True)
class Won:
    """A model's winners and the files that are made of them.

    Attributes:
        winners: Configuration, empty for the default, and latency in seconds, by digest of each
            layer's chosen lowering.
        path: File of the shared library, or of the scheduled model.
        database: Folder of the MetaSchedule database.
    """

    winners: Mapping[str, tuple[Config, float]]
    path: Path
    database: Path


@dataclass(frozen=True)
class CompileTuned(Won):
    """A job that compiles the model with the winners' schedules and exports these as a database."""

    def run(self, host: Host) -> Tuned:
        return host.compile_tuned(self)


@dataclass(frozen=True)
class CompileGraphs:
    """A job that compiles the tuned model again, so that it launches its kernels as graphs.

    Attributes:
        path: File of the shared library.
    """

    path: Path

    def run(self, host: Host) -> bool:
        return host.compile_graphs(self)


@dataclass(frozen=True)
class Schedule(Won):
    """A job that schedules the model with winners, and keeps it in a file until it is compiled."""

    def run(self, host: Host) -> Tuned:
        import tvm

        scheduled, tuned = host.schedule(self.winners, self.database)
        self.path.write_text(tvm.ir.save_json(scheduled))
        return tuned


@dataclass(frozen=True)
class CompileEntries:
    """A job that compiles scheduled models into one library.

    Attributes:
        parts: File of each scheduled model, by the name of its entry point.
        target: Complete target, as JSON.
        path: File of the library.
    """

    parts: Mapping[str, Path]
    target: str
    path: Path

    def run(self, host: Host) -> None:
        host.compile(joined(self.parts), self.target, self.path)


Job = (
    Prepare
    | Weigh
    | CompileUntuned
    | Expose
    | CompileTuned
    | CompileGraphs
    | Schedule
    | CompileEntries
)
