"""Packs what a machine without a network and without pip needs to run this project on its GPU.

    python scripts/gpu_pack.py FOLDER [--provided NAME ...] [--mib 57] [--level 3]

The packages of the running environment that this project needs, pruned and stripped, become one
archive in parts that are small enough to carry. Python, PyTorch and whatever is not installed here
(or named by ``--provided``) have to be on the other machine, where ``. unpack.sh TARGET`` joins the
parts, sets ``PYTHONPATH`` and says what is missing. Both machines need the same version of Python:
run this in an environment of that version, which needs no PyTorch.
"""

import argparse
import fnmatch
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from struct import unpack_from
from tempfile import TemporaryDirectory

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
MORE = ("nvidia-cuda-cccl",)
"""Packages that only ``gpu_check.py`` needs."""
PROVIDED = ("torch", "nvidia-nccl-cu12")
"""Packages that are never packed, nor what only they need; XGBoost runs without NCCL."""
INSTEAD = {"xgboost": "xgboost-cpu"}
"""Packages in place of which a smaller one may be installed: XGBoost's own CUDA is not used."""
PRUNED = (
    *("ray/jars/*", "ray/dashboard/client/*", "ray/cpp/*", "ray/llm/*"),
    *("tvm/3rdparty/*", "tvm/src/*", "tvm/include/*", "tvm/web/*", "tvm/licenses/*"),
    *(
        "pyarrow/include/*",
        "pyarrow/src/*",
        "pyarrow/tests/*",
        "numpy/*/tests/*",
        "scipy/*/tests/*",
    ),
    *("sklearn/*/tests/*", "pandas/tests/*", "onnx/backend/test/*"),
    *("*/__pycache__/*", "*.pyc", "*.a", "*.pdb", "../*"),
)
"""Files that nothing here reads when it runs."""
LARGE = 1 << 20
"""Bytes from which a library is stripped."""
LOADED = 1
"""Kind of an ELF segment that is mapped into memory."""
ARCHIVE = "pack.tar.xz"
UNPACK = """\
# Source this in bash: . unpack.sh TARGET. It unpacks into TARGET and sets PYTHONPATH.
pack_from=$(cd "$(dirname "${{BASH_SOURCE[0]}}")" && pwd)
mkdir -p "$1" && cat "$pack_from"/{archive}.* | XZ_OPT=-T0 tar -xJf - -C "$1"
export PYTHONPATH=$(cd "$1" && pwd)${{PYTHONPATH:+:$PYTHONPATH}}
python3 - <<'END'
import sys
from importlib.metadata import distributions
if sys.version_info[:2] != {python}:
    print("This was packed for Python {dotted}, and this is", sys.version.split()[0])
there = {{(one.metadata["Name"] or "").lower().replace("_", "-") for one in distributions()}}
missing = [name for name in {needed} if name not in there]
print("missing there:", ", ".join(missing) or "nothing")
END
"""


def main() -> None:
    """Packs, and says how large the parts are and what the other machine has to have."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--provided", nargs="*", default=[], help="what the machine has")
    parser.add_argument("--mib", type=int, default=57, help="most of a part; 57, which are 60 MB")
    parser.add_argument("--level", type=int, default=3, help="of xz; 3")
    arguments = parser.parse_args()
    if arguments.mib < 1:
        sys.exit(f"Error: parts of {arguments.mib} MiB cannot be made; give --mib 1 or more.")
    try:
        arguments.folder.mkdir(parents=True)
    except FileExistsError:
        sys.exit(f"Error: {arguments.folder} exists already; give another folder.")
    except OSError as error:
        sys.exit(f"Error: {arguments.folder} cannot be made ({error.strerror}); give another one.")
    found, needed = closure({canonicalize_name(one) for one in (*arguments.provided, *PROVIDED)})
    with TemporaryDirectory(prefix="chameleon-pack-") as place:
        tree = Path(place)
        for one in found:
            take(one, tree)
        project(tree)
        strip(tree)
        print(f"unpacked: {size(tree)}; needed there: {', '.join(needed)}")
        archive(tree, arguments.folder, arguments.mib, arguments.level)
    script(arguments.folder, needed)
    for part in sorted(arguments.folder.iterdir()):
        print(f"{part.name}: {part.stat().st_size / 2**20:.1f} MiB")


def closure(provided: set[str]) -> tuple[list[Distribution], list[str]]:
    """What the project needs, directly or not: what is packed, and names of what is not."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["cuda"], *MORE]
    found: dict[str, Distribution] = {}
    needed: set[str] = set()
    queue = [(Requirement(one), "") for one in wanted]
    seen = set()
    while queue:
        one, extra = queue.pop()
        name = canonicalize_name(one.name)
        if one.marker and not one.marker.evaluate({"extra": extra}):
            continue
        known = None if name in provided else installed(name)
        if known is None:
            needed.add(name)
            continue
        found[name] = known
        for more in ("", *one.extras):
            if (name, more) not in seen:
                seen.add((name, more))
                queue += [(Requirement(text), more) for text in known.requires or ()]
    return list(found.values()), sorted(needed - {"nvidia-nccl-cu12"})


def installed(name: str) -> Distribution | None:
    """A package of this environment, or the one that may take its place."""
    for one in (INSTEAD.get(name, name), name):
        try:
            return distribution(one)
        except PackageNotFoundError:
            continue
    return None


def take(one: Distribution, tree: Path) -> None:
    """Copies a package's files, but for those that are pruned."""
    for file in one.files or ():
        source = Path(str(one.locate_file(file)))
        if any(fnmatch.fnmatch(str(file), pattern) for pattern in PRUNED) or not source.is_file():
            continue
        target = tree / file
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)


def project(tree: Path) -> None:
    """Copies this project, and describes it as a package, which may not be installed here."""
    ignored = shutil.ignore_patterns("__pycache__")
    for name in ("chameleon_ray", "scripts"):
        shutil.copytree(ROOT / name, tree / name, ignore=ignored)
    version = re.search(r'__version__ = "(.+)"', (ROOT / "chameleon_ray/__init__.py").read_text())
    number = version[1] if version else "0"
    described = tree / f"chameleon_ray-{number}.dist-info"
    described.mkdir()
    text = f"Metadata-Version: 2.1\nName: chameleon_ray\nVersion: {number}\n"
    (described / "METADATA").write_text(text)


def strip(tree: Path) -> None:
    """Strips large libraries and programs of their symbols, where there is ``strip``.

    Those that it would spoil stay as they are.
    """
    tool = shutil.which("strip")
    for file in libraries(tree) if tool else ():
        smaller = file.with_name(f"{file.name}.stripped")
        done = subprocess.run(
            [str(tool), "--strip-unneeded", "-o", str(smaller), str(file)], capture_output=True
        )
        well = done.returncode == 0 and loadable(smaller)
        if well and smaller.stat().st_size < file.stat().st_size:
            shutil.copymode(file, smaller)
            smaller.rename(file)
        smaller.unlink(missing_ok=True)


def libraries(tree: Path) -> Iterator[Path]:
    """Large ELF files."""
    for file in tree.rglob("*"):
        if file.is_file() and file.stat().st_size >= LARGE:
            with file.open("rb") as opened:
                if opened.read(4) == b"\x7fELF":
                    yield file


def loadable(file: Path) -> bool:
    """Whether the loader can map all segments of a 64-bit ELF file.

    ``strip`` moves segments off their pages in some libraries of wheels, as those of OpenBLAS.
    """
    with file.open("rb") as opened:
        header = opened.read(64)
        (start,), (size, count) = unpack_from("<Q", header, 32), unpack_from("<HH", header, 54)
        opened.seek(start)
        table = opened.read(size * count)
    for at in range(0, len(table), size):
        kind, _, offset, address, *_, aligned = unpack_from("<IIQQQQQQ", table, at)
        if kind == LOADED and aligned and (address - offset) % aligned:
            return False
    return True


def archive(tree: Path, folder: Path, mib: int, level: int) -> None:
    """Writes the tree as one compressed archive in parts.

    Raises:
        subprocess.CalledProcessError: A command of the pipeline failed.
    """
    prefix = folder / f"{ARCHIVE}."
    line = f'tar -C "$1" -cf - . | xz -T0 -{level} | split -b {mib}M -d -a 2 - "$2"'
    subprocess.run(
        ["bash", "-o", "pipefail", "-c", line, "bash", str(tree), str(prefix)], check=True
    )


def script(folder: Path, needed: list[str]) -> None:
    """Writes what unpacks the archive, and looks for what has to be there besides."""
    python = sys.version_info[:2]
    dotted = ".".join(map(str, python))
    text = UNPACK.format(archive=ARCHIVE, python=tuple(python), dotted=dotted, needed=needed)
    (folder / "unpack.sh").write_text(text)


def size(tree: Path) -> str:
    total = sum(file.stat().st_size for file in tree.rglob("*") if file.is_file())
    return f"{total / 2**20:.0f} MiB"


if __name__ == "__main__":
    main()
