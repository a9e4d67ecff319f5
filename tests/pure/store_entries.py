"""Entries of one layer of the toys, for tests of stores."""

from chameleon_ray.options import Storing
from chameleon_ray.record import DEFAULT, Record, Status
from chameleon_ray.store.entry import Entry
from chameleon_ray.store.key import Circumstances
from tests.pure import toys
from tests.pure.test_transfer import records_of

TASK = toys.task("convolution-1")
HERE = Circumstances("toy", {"apache-tvm": "1"})
OPTIONS = Storing(patience=5.0)
DEFAULT_RECORD = Record(TASK.digest, TASK.target, "toy", DEFAULT, "{}", Status.OK, (0.1,))


def entry(seed: int = 0, count: int = 8, **fields: object) -> Entry:
    """An entry of as many random configurations and the default."""
    known = {
        "name": TASK.name,
        "shape": "1x64",
        "task": TASK.digest,
        "target": TASK.target,
        "space": TASK.space.digest,
        "circumstances": HERE,
        "records": (DEFAULT_RECORD, *records_of(TASK, count, seed)),
    }
    return Entry(**(known | fields))  # type: ignore[arg-type]
