"""Compiles CUDA source as TVM generates it to a library for a CPU: ``translate.py FROM TO``.

``nvrtc.cpp`` runs it beside the real compiler. Kernels stay as they are but for what C++ has no
word for: shared memory whose size is known at launch, and inline assembly.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from assembly import UnknownAssembly, replaced

PLACE = Path(__file__).parent
KEPT = PLACE / "kept"
"""Compiled kernels, by a digest of what they are made of: many tests have the same."""
SETTINGS = "settings.json"
"""File in the built simulator's folder with what compiles a kernel, and has it counted."""
KERNEL = re.compile(
    r'extern "C" __global__ void (?:__launch_bounds__\([^)]*\) )?(\w+)\(([^)]*)\)\s*\{'
)
DYNAMIC = re.compile(
    r"extern __shared__ (?:(?:alignas|__align__)\(\d+\) )?(\w+(?: \w+)?) (\w+)\[\];"
)
SHARED = re.compile(r"__shared__ ((?:alignas|__align__)\(\d+\)) ")
PREAMBLE = "#define ushort unsigned short\n#endif\n"
"""End of what TVM puts before helpers and kernels, which ``kernel/`` has its own of."""
ADDRESS = re.compile(r"unsigned (?:int )?(\w+) = (?=__cvta_generic_to_shared)")
ENTRY = """
static void {name}__body(void** arguments) {{ {name}({given}); }}
static const int {name}__sizes[] = {{{sizes}}};
extern "C" const simulated::Entry {name}__entry = {{{name}__body, {count}, {name}__sizes}};
"""


def translated(source: str) -> str:
    """Returns the kernels of a source as C++, each with an entry that the driver finds."""
    start = source.find(PREAMBLE)
    start = source.find('extern "C" __global__') if start < 0 else start + len(PREAMBLE)
    kernels = DYNAMIC.sub(r"\1* \2 = (\1*)simulated_dynamic_shared;", source[start:])
    kernels = SHARED.sub(r"\1 __shared__ ", kernels)
    kernels = replaced(ADDRESS.sub(r"auto \1 = ", kernels))
    return kernels + "".join(entry(*found) for found in KERNEL.findall(kernels))


def entry(name: str, parameters: str) -> str:
    """Returns what the driver has to know of one kernel."""
    types = [type_of(one) for one in parameters.split(",") if one.strip()]
    given = ", ".join(f"*({one}*)arguments[{n}]" for n, one in enumerate(types))
    sizes = ", ".join(f"sizeof({one})" for one in types) or "0"
    return ENTRY.format(name=name, given=given, sizes=sizes, count=len(types))


def type_of(parameter: str) -> str:
    """Returns the type of a parameter, which ends in its name."""
    return re.sub(r"\w+$", "", parameter.replace("__restrict__", "").strip()).strip()


def compiled(kernels: str, command: list[str], library: Path) -> str:
    """Compiles kernels unless the same were before; returns g++'s complaint, empty for none."""
    digest = hashlib.sha256(json.dumps([command, kernels]).encode()).hexdigest()
    kept, made, code = KEPT / digest, library.with_suffix(".made"), library.with_suffix(".cpp")
    if not kept.exists():
        code.write_text(kernels)
        done = subprocess.run([*command, "-o", made, code], capture_output=True, text=True)
        code.unlink()
        if done.returncode:
            lines = done.stderr.splitlines() or [f"g++ ended with status {done.returncode}"]
            return next((line for line in lines if "error:" in line), "\n".join(lines))
        publish(made, kept)
    shutil.copyfile(kept, library)
    return ""


def publish(made: Path, kept: Path) -> None:
    """Moves a file to where others find it, as a whole or not at all."""
    KEPT.mkdir(exist_ok=True)
    whole = kept.with_name(f"{kept.name}-{os.getpid()}")
    shutil.move(made, whole)
    whole.rename(kept)


def main(source: str, library: str) -> int:
    settings = json.loads((PLACE / SETTINGS).read_text())
    by_formula = os.environ.get("SIMULATED_CLOCK") in ("formula", "sample")
    command = [*settings["compile"], *(settings["counted"] if by_formula else ())]
    try:
        complaint = compiled(translated(Path(source).read_text()), command, Path(library))
    except UnknownAssembly as unknown:
        complaint = str(unknown)
    if complaint:
        print(f"error: the simulated GPU does not know what a kernel uses: {complaint}")
    return 1 if complaint else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
