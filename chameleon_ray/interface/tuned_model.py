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
from chameleon_ray.interface.dispatching import Bucket, Dispatcher
from chameleon_ray.interface.signature import Array, Signature
from chameleon_ray.measure.bench import MAIN
from chameleon_ray.report.loading import threads_of

LIBRARY, SUMMARY, REPORT = "model.so", "summary.json", "report.html"
KEPT = (LIBRARY, SUMMARY, REPORT, "run.json", "winners.json")
"""Files that ``save`` copies, as far as they exist."""


class TunedModel:
    """A compiled model and what is known of it; any number of threads may call it at once.

    Attributes:
        folder: The directory of its library and summary.
        summary: The run's ``summary.json``.
        buckets: The shapes that it was compiled for, the smallest first; most models have one.
        inputs: Its inputs, in order, with the shapes of the largest bucket.
        outputs: Its outputs, likewise; empty where their shapes are not known.
    """

    def __init__(self, folder: Path) -> None:
        """Reads a finished run; ``load`` is the public name.

        Raises:
            UserError: There is no finished run, or its files cannot be read.
        """
        self.folder = folder
        self.summary = _summary(folder)
        self.buckets = tuple(map(_bucket, self.summary.get("buckets", [self.summary])))
        self.inputs, self.outputs = self.buckets[-1].inputs, self.buckets[-1].outputs
        self._signature, self._entry = Signature(self.inputs), self.buckets[-1].entry
        several = "buckets" in self.summary
        self._dispatcher = Dispatcher(self.buckets, self.summary["padded"]) if several else None
        self._loaded: CallableModel | None = None
        self._loading = Lock()

    def __call__(self, /, *inputs: Any, **named: Any) -> Any:
        """Runs the model.

        A model with buckets takes the one of the inputs' shapes. Where it may, it pads a batch to
        the next larger bucket, and cuts the outputs again.

        Args:
            inputs: NumPy arrays, torch tensors, or what NumPy makes arrays of. Memory is used as it
                is where it is contiguous, writable and aligned to 64 bytes.
            named: Inputs by name.

        Returns:
            The output, or a tuple of the outputs: torch tensors if an input is one, else NumPy
            arrays.

        Raises:
            CallError: An input is missing, or is of another name, shape or type.
        """
        model = self._loaded or self.ready()
        if self._dispatcher is None:
            outputs = model(self._signature.bound(inputs, named), self._entry)
        else:
            call = self._dispatcher.call(inputs, named)
            outputs = model(call.inputs, call.entry)
            if call.rows is not None:
                outputs = [one[: call.rows] for one in outputs]
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
        """Median seconds of a call, as timed at the end of the run; None where it was not.

        With buckets it is that of the largest one; ``buckets`` has the others'.
        """
        return self.buckets[-1].seconds

    @property
    def untuned_seconds(self) -> float | None:
        """The same of the model compiled by TVM without tuning."""
        return _seconds(self._parts[-1]["latency_ms"]["untuned"])

    @property
    def verified(self) -> bool:
        """Whether the outputs were found equal to those of something else than TVM."""
        return all(part["verified"]["ok"] for part in self._parts)

    @property
    def _parts(self) -> list[dict[str, Any]]:
        """What the summary has of each bucket."""
        return list(self.summary.get("buckets", [self.summary]))

    @property
    def report(self) -> Path:
        """The report for people, an HTML file."""
        return self.folder / REPORT

    @property
    def layers(self) -> Any:
        """The layers as an Arrow table, one row each, with the columns of ``summary.json``.

        Those of all buckets are one after the other.
        """
        import pyarrow

        layers = [row for part in self._parts for row in part["tasks"]]
        rows = [{k: _cell(v) for k, v in row.items()} for row in layers]
        return pyarrow.Table.from_pylist(rows)

    def save(self, folder: str | os.PathLike) -> Path:
        """Copies what ``load`` needs, the report and the winners into a new or empty directory.

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
        known, verified = self.summary, self._parts[-1]["verified"]
        words = {
            "model": known["model"],
            "device": known["device"],
            "latency": _milliseconds(self.seconds),
            "untuned TVM": _milliseconds(self.untuned_seconds),
            "outputs": f"{verified['outcome']} ({verified['against']})",
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
    known = isinstance(summary, Mapping) and ("inputs" in summary or "buckets" in summary)
    if not known:
        raise UserError(
            f"{folder / SUMMARY} was written by another version; run chameleon tune --resume, or "
            "tune again."
        )
    return dict(summary)


def _bucket(part: Mapping[str, Any]) -> Bucket:
    return Bucket(
        part.get("entry", MAIN),
        _arrays(part["inputs"]),
        _arrays(part["outputs"]),
        _seconds(part.get("latency_ms", {}).get("tuned")),
    )


def _arrays(rows: list[dict[str, Any]]) -> tuple[Array, ...]:
    return tuple(Array(row["name"] or "", tuple(row["shape"]), row["dtype"]) for row in rows)


def _cell(value: Any) -> Any:
    """Returns a value that a column of an Arrow table can hold beside others of its kind."""
    return json.dumps(value) if isinstance(value, list | dict) else value


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1e3


def _milliseconds(seconds: float | None) -> str:
    return "not timed" if seconds is None else f"{1e3 * seconds:.4g} ms"
