"""The control store of a Ray that this process has or starts, to be killed."""

import time

import psutil

from tests.whole.command import until


def killed(after: float = 0.0) -> bool:
    """Waits for a control store, and kills it some seconds later; whether there was one."""
    if not until(_stores, 30):
        return False
    time.sleep(after)
    (store,) = _stores()
    store.kill()
    return True


def _stores() -> list[psutil.Process]:
    found = psutil.Process().children()
    return [one for one in found if one.name() == "gcs_server" and one.status() != "zombie"]
