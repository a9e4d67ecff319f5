"""The digest of the sources is of what layers depend on, and of nothing else."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from chameleon_ray.compiler.sources import OWN, WHOLE, digest_of_sources, sources
from tests.pure.test_floors import PACKAGE, ROOT, imports

COMPILER = ROOT / PACKAGE / "compiler"
VERSIONS = {COMPILER / "gpu_versions.py"}
"""Files that the rest may import, as no latency depends on them."""


def test_what_runs_whole_models_is_left_out():
    assert all((COMPILER / file).is_file() for file in WHOLE)
    files = {str(file.relative_to(COMPILER)) for file in sources(COMPILER)}
    assert not files & WHOLE
    assert {"runtime/cpu_runner.py", "spaces/extract.py", "codegen/builder.py"} <= files
    assert {len(digest_of_sources(kind)) for kind in OWN} == {12}


def test_no_source_of_layers_imports_what_is_left_out():
    assert not importing(sources(COMPILER), {COMPILER / file for file in WHOLE} - VERSIONS)


@pytest.mark.parametrize("kind", OWN)
def test_layers_of_one_kind_do_not_depend_on_files_of_another(kind: str):
    """But for what chooses by the kind of the target."""
    own, every = set(sources(COMPILER, kind)), set(sources(COMPILER))
    assert all(list(COMPILER.glob(pattern)) for patterns in OWN.values() for pattern in patterns)
    assert COMPILER / "kinds" / f"{kind}.py" in own
    choosing = {COMPILER / "kinds/__init__.py", COMPILER / "spaces/templates/__init__.py"}
    assert importing(own, every - own) <= choosing | {COMPILER / "spaces/rules.py"}
    assert digest_of_sources(kind) not in {
        digest_of_sources(other) for other in {*OWN, ""} - {kind}
    }


def importing(files: Iterable[Path], others: Iterable[Path]) -> set[Path]:
    """Those of some files that import any of some others, anywhere in them."""
    named = [
        ".".join(other.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for other in others
    ]
    return {
        file
        for file in files
        if file.suffix == ".py"
        for there in imports(file.read_text())
        if any(there == name or there.startswith(f"{name}.") for name in named)
    }
