"""What all tests have in common: none of them knows the store of who runs them."""

import os

from chameleon_ray.store.store import NONE, VARIABLE

os.environ[VARIABLE] = NONE  # before any test, and for the commands that tests start
