"""The distribution: every file of the package is in it, as a module or as package data."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "chameleon_ray"


def test_every_file_is_a_module_of_a_package_or_package_data() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    data = settings["tool"]["setuptools"]["package-data"]
    named = {
        path
        for package, patterns in data.items()
        for pattern in patterns
        for path in (ROOT / package.replace(".", "/")).glob(pattern)
    }
    files = [path for path in PACKAGE.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    modules = {
        path for path in files if path.suffix == ".py" and (path.parent / "__init__.py").exists()
    }
    assert set(files) - modules == named
