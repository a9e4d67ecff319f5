"""``records``: every measurement of a run, as a table."""

import os
from pathlib import Path
from typing import Any

from chameleon_ray.database import SCHEMA, Database
from chameleon_ray.errors import UserError


def records(run: str | os.PathLike) -> Any:
    """Returns every configuration that a run has tried, as an Arrow table in order of completion.

    A run under way can be read, too. docs/reference/run-directory.md says what the columns are.

    Raises:
        UserError: There are no records, or they cannot be read.
    """
    import pyarrow

    folder = Path(run) / "records"
    if not folder.is_dir():
        raise UserError(f"{folder} does not exist; give the directory of a run.")
    rows = [
        {name: getattr(record, name) for name in SCHEMA.names} for record in Database(folder).read()
    ]
    return pyarrow.Table.from_pylist(rows, schema=SCHEMA)
