"""Compiles CUDA source as TVM generates it to a library for a CPU: ``translate.py FROM TO``.

``nvrtc.cpp`` runs it beside the real compiler. Kernels stay as they are but for what C++ has no
word for: shared memory whose size is known at launch, and inline assembly.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from assembly import UnknownAssembly, replaced

PLACE = Path(__file__).parent
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


def main(source: str, library: str) -> int:
    settings = json.loads((PLACE / SETTINGS).read_text())
    code = Path(source).with_suffix(".cpp")
    try:
        code.write_text(translated(Path(source).read_text()))
    except UnknownAssembly as unknown:
        print(f"error: the simulated GPU does not know what a kernel uses: {unknown}")
        return 1
    by_formula = os.environ.get("SIMULATED_CLOCK") in ("formula", "sample")
    counted = settings["counted"] if by_formula else ()
    command = [*settings["compile"], *counted, "-o", library, code]
    done = subprocess.run(command, capture_output=True, text=True)
    code.unlink()
    if done.returncode:
        found = next((line for line in done.stderr.splitlines() if "error:" in line), done.stderr)
        print(f"error: the simulated GPU does not know what a kernel uses: {found}")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
