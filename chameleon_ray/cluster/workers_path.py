"""The search path of Ray's workers: they find this package, and modules beside the script."""

import os
import sys

from ray.job_config import JobConfig

from chameleon_ray.measure.search_path import PACKAGES


class WorkersPath(JobConfig):
    """A configuration of workers that keeps the working directory from their search path.

    By itself Ray puts it before all libraries there, and whatever lies in it. Ray has no public
    name for this; a test has a worker say what it finds.
    """

    def __init__(self) -> None:
        installed = PACKAGES.name in ("site-packages", "dist-packages")
        script = os.path.dirname(os.path.realpath(sys.argv[0]))
        found = [] if installed else [str(PACKAGES)]
        super().__init__(_py_driver_sys_path=[*found, *([script] if script in sys.path else [])])

    def _runtime_env_has_working_dir(self) -> bool:  # which alone keeps Ray from it
        return True
