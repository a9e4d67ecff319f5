"""The digest of the sources is of what layers depend on, and of nothing else."""

from chameleon_ray.compiler.sources import WHOLE, digest_of_sources, sources
from tests.pure.test_floors import PACKAGE, ROOT, imports

COMPILER = ROOT / PACKAGE / "compiler"


def test_what_runs_whole_models_is_left_out():
    assert all((COMPILER / file).is_file() for file in WHOLE)
    files = {str(file.relative_to(COMPILER)) for file in sources(COMPILER)}
    assert not files & WHOLE
    assert {"runtime/cpu_runner.py", "spaces/extract.py", "codegen/builder.py"} <= files
    assert len(digest_of_sources()) == 12


def test_no_source_of_layers_imports_what_is_left_out():
    named = {f"{PACKAGE}.compiler." + file.removesuffix(".py").replace("/", ".") for file in WHOLE}
    found = {
        (file.name, there)
        for file in sources(COMPILER)
        if file.suffix == ".py"
        for there in imports(file.read_text())
        if any(there == name or there.startswith(f"{name}.") for name in named)
    }
    assert not found
