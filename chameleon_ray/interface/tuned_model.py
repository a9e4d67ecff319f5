"""A tuned model, as Python holds it: called with arrays, and asked for what its tuning found."""

import json
import os
import shutil
import warnings
from collections.abc import Mapping
from html import escape
from pathlib import Path
from threading import Lock
from typing import Any

from chameleon_ray.compiler.cpu_features import flags_of, lacking
from chameleon_ray.compiler.runtime.callable_model import CallableModel
from chameleon_ray.errors import UserError
from chameleon_ray.interface.signature import Array, Signature
from chameleon_ray.report.loading import threads_of

LIBRARY, SUMMARY, REPORT = "model.so", "summary.json", "report.html"
KEPT = (LIBRARY, SUMMARY, REPORT, "run.json", "winners.json")
"""Files that ``save`` copies, as far as they exist."""


class TunedModel:
    """A compiled model and what is known of it; any number of threads may call it at once.

    Attributes:
        folder: The directory of its library and summary.
        summary: The run's ``summary.json``.
        inputs: Its inputs, in order.
        outputs: Its outputs, in order; empty where their shapes are not known.
    """

    def __init__(self, folder: Path) -> None:
        """Reads a finished run; ``load`` is the public name.

        Raises:
            UserError: There is no finished run, or its files cannot be read.
        """
        self.folder = folder
        self.summary = _summary(folder)
        self.inputs, self.outputs = (_arrays(self.summary[key]) for key in ("inputs", "outputs"))
        self._signature = Signature(self.inputs)
        self._loaded: CallableModel | None = None
        self._loading = Lock()

    def __call__(self, /, *inputs: Any, **named: Any) -> Any:
        """Runs the model.

        Args:
            inputs: NumPy arrays, torch tensors, or what NumPy makes arrays of. Memory is used as it
                is where it is contiguous and aligned to 64 bytes, as torch's is.
            named: Inputs by name.

        Returns:
            The output, or a tuple of the outputs: torch tensors if an input is one, else NumPy
            arrays.

        Raises:
            CallError: An input is missing, or is of another name, shape or type.
        """
        outputs = (self._loaded or self.ready())(self._signature.bound(inputs, named))
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    def ready(self) -> CallableModel:
        """Loads the library, once for all threads; the first call does so otherwise.

        Raises:
            UserError: This machine's CPU cannot run it.
        """
        with self._loading:
            if self._loaded is None:
                threads, cores = threads_of(self.summary["target"]), len(os.sched_getaffinity(0))
                if threads is not None and threads > cores:
                    warnings.warn(
                        f"{self.folder / LIBRARY} is tuned for {threads} threads, and this process "
                        f"may use {cores} cores only; tune it with --threads {cores}.",
                        stacklevel=3,
                    )
                gpu = "cuda" in self.summary["target"]
                if not gpu:
                    self._demand_cpu()
                self._loaded = CallableModel(self.folder / LIBRARY, gpu, threads)
        return self._loaded

    @property
    def seconds(self) -> float | None:
        """Median seconds of a call, as timed at the end of the run; None where it was not."""
        return _seconds(self.summary["latency_ms"]["tuned"])

    @property
    def untuned_seconds(self) -> float | None:
        """The same of the model compiled by TVM without tuning."""
        return _seconds(self.summary["latency_ms"]["untuned"])

    @property
    def verified(self) -> bool:
        """Whether the outputs were found equal to those of something else than TVM."""
        return bool(self.summary["verified"]["ok"])

    @property
    def report(self) -> Path:
        """The report for people, an HTML file."""
        return self.folder / REPORT

    @property
    def layers(self) -> Any:
        """The layers as an Arrow table, one row each, with the columns of ``summary.json``."""
        import pyarrow

        rows = [{k: _cell(v) for k, v in row.items()} for row in self.summary["tasks"]]
        return pyarrow.Table.from_pylist(rows)

    def save(self, folder: str | os.PathLike) -> Path:
        """Copies what ``load`` needs, and nothing else, into a new or empty directory.

        Raises:
            UserError: The directory holds something, or cannot be written.
        """
        place = Path(folder)
        try:
            place.mkdir(parents=True, exist_ok=True)
            if any(place.iterdir()):
                raise UserError(f"{place} is not empty; choose another directory.")
            for name in KEPT:
                if (self.folder / name).exists():
                    shutil.copy2(self.folder / name, place / name)
        except OSError as error:
            raise UserError(f"Writing to {place} failed: {error.strerror or error}.") from error
        return place

    def __reduce__(self) -> tuple[Any, ...]:
        return load, (self.folder,)

    def __repr__(self) -> str:
        took = f", {1e3 * self.seconds:.3g} ms" if self.seconds else ""
        inputs = ", ".join(map(str, self.inputs))
        return f"<TunedModel {self.summary['model']} ({inputs}){took}, in {self.folder}>"

    def _repr_html_(self) -> str:
        """The essence of the report, for notebooks."""
        known = self.summary
        words = {
            "model": known["model"],
            "device": known["device"],
            "latency": _milliseconds(self.seconds),
            "untuned TVM": _milliseconds(self.untuned_seconds),
            "outputs": f"{known['verified']['outcome']} ({known['verified']['against']})",
            "measurements": known["measurements"]["total"],
            "inputs": ", ".join(map(str, self.inputs)),
            "report": self.report,
        }
        rows = (f"<tr><th>{k}</th><td>{escape(str(v))}</td></tr>" for k, v in words.items())
        return f"<table>{''.join(rows)}</table>"

    def _demand_cpu(self) -> None:
        """Raises a ``UserError`` where the library would die by SIGILL."""
        if missing := lacking(flags_of(self.summary["target"])):
            raise UserError(
                f"This CPU lacks what {self.folder / LIBRARY} was compiled for "
                f"({' '.join(missing)}); tune the model on such a machine."
            )


def load(run: str | os.PathLike) -> TunedModel:
    """Loads the tuned model of a finished run, or of a directory that ``save`` has made.

    The library itself is loaded with the first call.

    Raises:
        UserError: There is no finished run, or its files cannot be read.
    """
    return TunedModel(Path(run))


def _summary(folder: Path) -> dict[str, Any]:
    for name in (SUMMARY, LIBRARY):
        if not (folder / name).is_file():
            raise UserError(
                f"{folder} has no {name}; give the directory of a finished run, or finish this one "
                "with --resume."
            )
    try:
        summary = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{folder / SUMMARY} cannot be read ({error}); tune again.") from error
    lacking = not isinstance(summary, Mapping) or "inputs" not in summary
    if lacking:
        raise UserError(
            f"{folder / SUMMARY} was written by another version; run chameleon tune --resume, or "
            "tune again."
        )
    return dict(summary)


def _arrays(rows: list[dict[str, Any]]) -> tuple[Array, ...]:
    return tuple(Array(row["name"] or "", tuple(row["shape"]), row["dtype"]) for row in rows)


def _cell(value: Any) -> Any:
    """Returns a value that a column of an Arrow table can hold beside others of its kind."""
    return json.dumps(value) if isinstance(value, list | dict) else value


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1e3


def _milliseconds(seconds: float | None) -> str:
    return "not timed" if seconds is None else f"{1e3 * seconds:.4g} ms"
