"""Memory that a process gives back, measured by the kernel in a process of its own."""

import subprocess
import sys

SCRIPT = """
import gc, psutil
from chameleon_ray.measure.free_memory import give_back

def held():
    return psutil.Process().memory_info().rss >> 20

gc.disable()
rings = [[bytes(1000)] for _ in range(200_000)]
for ring in rings:
    ring.append(ring)
pins = [bytes(1000) for _ in range(10)]
del rings, ring
full = held()
give_back()
print(full - held())
"""


def test_garbage_is_given_back_to_the_machine() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True)
    assert done.stderr == ""
    assert int(done.stdout) > 150  # of about 200 MiB
