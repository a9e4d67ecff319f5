"""The agents of a run: the state of each layer's explorer, as NumPy's files."""

import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np

from chameleon_ray.atomic_write import write_whole

UNZIPPING = (zipfile.BadZipFile, zlib.error, NotImplementedError)


@dataclass(frozen=True)
class Agents:
    """The agents under a folder, by explorer and task."""

    folder: Path

    def _file(self, explorer: str, task: str) -> Path:
        return self.folder / explorer / f"{task}.npz"

    def save(self, explorer: str, task: str, agent: Mapping[str, np.ndarray]) -> None:
        """Keeps the state of a task's explorer, for ``--resume``."""
        if not agent:
            return
        file = self._file(explorer, task)
        file.parent.mkdir(parents=True, exist_ok=True)
        content = BytesIO()
        np.savez(content, **agent)  # type: ignore[arg-type]
        write_whole(file, content.getvalue(), file.with_name(f".{task}.npz"))

    def load(self, explorer: str, task: str) -> dict[str, np.ndarray]:
        """Returns the state of a task's explorer; empty where none, or half of one, was kept.

        Only arrays are read, so nothing in the file is executed.
        """
        try:
            with np.load(self._file(explorer, task), allow_pickle=False) as arrays:
                return {name: arrays[name] for name in arrays.files}
        except (OSError, ValueError, EOFError, MemoryError, KeyError, *UNZIPPING):
            return {}
