"""Padding: whether a batch may be filled up to a bucket's, and the outputs cut again.

A shape alone does not tell: ``x - x.mean(0)`` and ``x / len(x)`` have as many rows as ``x``, and
their rows depend on how many there are. So the compiled buckets are run with other rows.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from chameleon_ray.api.model_process import ModelProcess
from chameleon_ray.api.session_model import SessionModel
from chameleon_ray.compiler.prepared import Prepared
from chameleon_ray.measure.bench import Bench
from chameleon_ray.measure.example import Arrays, Example
from chameleon_ray.report.buckets import batched

LARGER = 16
"""Factor of values in other rows, which changes a scale that is taken over all rows."""


@dataclass(frozen=True)
class Padding:
    """Finds out whether buckets may be padded, by running them.

    Attributes:
        process: Process that runs them, where no bench does.
        bench: Bench that does; None where the process does.
    """

    process: ModelProcess
    bench: Bench | None

    def may_be_padded(self, model: SessionModel, prepared: Mapping[SessionModel, Prepared]) -> bool:
        """Whether the rows of a bucket's outputs depend on nothing but the same rows of inputs.

        Args:
            model: The bucket, which is compiled.
            prepared: All buckets, with examples that have outputs.

        Raises:
            UserError: The library cannot be run.
        """
        shapes = {one: [a.shape for a in known.inputs] for one, known in prepared.items()}
        places = batched(list(shapes.values()))
        if not places:
            return False
        inputs, rows = prepared[model].inputs, shapes[model][places[0]][0]
        before = self._outputs(model, inputs)
        if any(array.shape[:1] != (rows,) for array in before):
            return False
        for kept, others in _changed(inputs, places, rows):
            pairs = zip(before, self._outputs(model, others), strict=True)
            if any(one[:kept].tobytes() != other[:kept].tobytes() for one, other in pairs):
                return False
        largest = max(prepared, key=lambda one: shapes[one][places[0]][0])
        return self._same_alone(model, prepared[model], prepared[largest], places, rows)

    def _same_alone(
        self,
        model: SessionModel,
        prepared: Prepared,
        largest: Prepared,
        places: tuple[int, ...],
        rows: int,
    ) -> bool:
        """Whether a bucket's outputs are the first rows of what the largest one is to give."""
        example = largest.examples[0]
        if example.outputs is None or any(not array.shape for array in example.outputs):
            return False
        inputs = [a[:rows] if n in places else a for n, a in enumerate(example.inputs)]
        cut = tuple(array[:rows] for array in example.outputs)
        known = replace(prepared, examples=(Example(tuple(inputs), cut),))
        library = model.folder.library
        return self.process.check(library, known, self.bench, entry=model.entry).ok

    def _outputs(self, model: SessionModel, inputs: Arrays) -> Arrays:
        return self.process.outputs(model.folder.library, inputs, self.bench, model.entry)


def _changed(inputs: Arrays, places: Sequence[int], rows: int) -> Iterator[tuple[int, Arrays]]:
    """Yields numbers of first rows that are kept, and the inputs with other rows after them.

    The others are zeros, or much larger; integers, which may be places of a table, are only zeros.
    """
    for kept in sorted({1, rows - 1} & set(range(1, rows))):
        for factor in (0, LARGER):
            others = tuple(array.copy() for array in inputs)
            for place in places:
                array = others[place]
                if factor == 0 or array.dtype.kind == "f":
                    array[kept:] = array[kept:] * np.asarray(factor, array.dtype)
            yield kept, others
