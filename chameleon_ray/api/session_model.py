"""One model of a session: its request, its run directory, and its failure if it has one."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from chameleon_ray.compiler.gpu_versions import gpu_versions
from chameleon_ray.compiler.prepared import Prepared
from chameleon_ray.compiler.sources import digest_of_sources
from chameleon_ray.compiler.target import fields_of
from chameleon_ray.errors import UserError
from chameleon_ray.folder import RunFolder
from chameleon_ray.layer_names import title
from chameleon_ray.measure.bench import MAIN
from chameleon_ray.options import Request, Search
from chameleon_ray.plugins import demand
from chameleon_ray.record import Record
from chameleon_ray.report.progress import Progress
from chameleon_ray.store.key import Circumstances
from chameleon_ray.task import Task

PACKAGES = (
    *("chameleon_ray", "apache-tvm", "apache-tvm-ffi", "ray", "xgboost", "torch", "onnx"),
    *("onnxruntime", "numpy", "nvidia-cuda-nvrtc"),
)

CODE = ("chameleon_ray", "apache-tvm", "apache-tvm-ffi")
"""Packages that define what a configuration is compiled to."""
COMPILER = ("nvidia-cuda-nvrtc",)
"""Packages that define it for a GPU, too."""


@dataclass(eq=False)
class SessionModel:
    """A model that a session tunes, alone or with others.

    Attributes:
        request: Request of the user.
        folder: Run directory of the model.
        weight: Importance of the model beside the session's other models.
        name: Name for people; empty for a model that is alone.
        device: Device that the model's layers are timed on; empty until that is known.
        gpu: Versions of what the GPU's machine has; None where that is this machine, or a CPU.
        failure: Reason for giving the model up, in a sentence; empty as long as it goes on.
        entry: Function of the tuned library that is the model.
    """

    request: Request
    folder: RunFolder
    weight: float = 1
    name: str = ""
    device: str = ""
    gpu: Mapping[str, str] | None = None
    failure: str = ""
    entry: str = MAIN

    @property
    def called(self) -> str:
        return self.name or "the model"

    @property
    def told(self) -> str:
        """Failure of the model, for people."""
        return self.saying(self.failure)

    def saying(self, sentence: str) -> str:
        """Returns a sentence about the model, which names it where there are several."""
        return f"{self.name}: {sentence}" if self.name else sentence

    @contextmanager
    def trying(self, progress: Progress) -> Iterator[None]:
        """Turns a ``UserError`` in the block into the failure of this model alone."""
        try:
            yield
        except UserError as error:
            self.fail(str(error), progress)

    def fail(self, why: str, progress: Progress) -> None:
        """Gives the model up."""
        self.failure = why
        if self.name:
            progress.note(self.told)

    def identity(self, prepared: Prepared, search: Search) -> dict[str, Any]:
        """Returns the identity of the run, which its directory keeps.

        Args:
            prepared: The imported model.
            search: The search system.
        """
        return {
            "model": prepared.name,
            "entry": self.entry,
            "model_digest": prepared.digest,
            "target": prepared.target,
            "device": self.device,
            "precision": self.request.precision,
            "layout": prepared.layout,
            "spaces": {task.digest: task.space.digest for task in prepared.tasks},
            "layers": {task.digest: task.name for task in prepared.tasks},
            "titles": {task.digest: title(task) for task in prepared.tasks},
            "lowerings": {task.digest: task.layer for task in prepared.tasks if task.instead},
            "inputs": [[list(array.shape), str(array.dtype)] for array in prepared.inputs],
            "options": {**asdict(self.request), "search": asdict(search)},
            "versions": versions(),
            "circumstances": asdict(self.circumstances(prepared.target)),
        }

    def circumstances(self, target: str) -> Circumstances:
        """Returns what latencies of the model's layers depend on, for its target as JSON."""
        return circumstances_of(self.device, target, self.request.template, self.gpu)


def circumstances_of(
    device: str,
    target: str,
    templates: Sequence[str] = (),
    gpu: Mapping[str, str] | None = None,
) -> Circumstances:
    """Returns what latencies on a device depend on beside the layers.

    Args:
        device: Name of the device.
        target: TVM target, as JSON.
        templates: Templates of other packages.
        gpu: Versions of what a GPU's machine has (``gpu_versions``); None for those of this one.
    """
    known = versions()
    found = {name: known[name] for name in CODE if name in known}
    found["sources"] = digest_of_sources(fields_of(target)["kind"])
    for template in templates:
        package = demand("template", template).dist
        found[f"template {template}"] = package.version if package is not None else ""
    if "cuda" in target:
        found |= {name: known[name] for name in COMPILER if name in known}
        found |= gpu_versions(target) if gpu is None else gpu
    return Circumstances(device, found)


def demand_success(
    layers: Sequence[Task],
    records: Mapping[str, Sequence[Record]],
    before: str = "",
    untuned: Path | None = None,
) -> None:
    """Sees to it that there is something to choose winners from, where there is a choice.

    Args:
        layers: Layers of a model.
        records: Records by task digest, of all of these layers.
        before: Where the time went that was no search, as a clause; may be empty.
        untuned: Library of the model without tuning.

    Raises:
        UserError: Nothing was measured, or no measurement succeeded.
    """
    if not any(task.space.knobs for task in layers):
        return
    own = [record for task in layers for record in records[task.digest]]
    if not own:
        where = f", {before}" if before else ""
        there = untuned is not None and untuned.exists()
        left = f" The model without tuning is there: {untuned}." if there else ""
        raise UserError(
            f"Nothing was measured in the time given{where}; give more --minutes or --trials.{left}"
        )
    if not any(record.latencies for record in own):
        error, count = Counter(record.error for record in own).most_common(1)[0]
        raise UserError(f"None of {len(own)} measurements succeeded; {count} times: {error}.")


def versions() -> dict[str, str]:
    """Returns the versions of the packages that matter and are installed under these names.

    ONNX Runtime for GPUs has another one.
    """
    found = {}
    for package in PACKAGES:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found
