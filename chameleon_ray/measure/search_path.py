"""The search path of processes that are started from here: they import this very package.

Another copy of it may be installed, where a command runs from a checkout.
"""

from pathlib import Path

PACKAGES = Path(__file__).parents[2]
"""Folder that this package is imported from."""
PROGRAM = "; ".join(
    (
        "import sys",
        "from importlib.machinery import PathFinder",
        "from importlib.util import module_from_spec",
        "sys.path.append(sys.argv.pop(1))",
        "spec = PathFinder.find_spec('chameleon_ray', sys.path[-1:])",
        "sys.modules[spec.name] = package = module_from_spec(spec)",
        "spec.loader.exec_module(package)",
        "from {} import main",
        "main()",
    )
)
"""Program that calls ``main`` of a module of this package, given the folder of the package.

The folder comes last on the search path, so that what lies there stands in for no library; Python's
``-m`` would put the working directory before all of them. Only this package is taken from there.
"""
