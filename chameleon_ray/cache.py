"""The folder of this project in the user's cache."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """Returns the folder below ``XDG_CACHE_HOME`` or ``~/.cache``; it need not exist."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(home) / "chameleon_ray"
