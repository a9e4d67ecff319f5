"""Looks the installed packages up among known vulnerabilities, or lists them where it cannot.

    python scripts/audit.py [--with pip-audit] [--path SITE-PACKAGES]

Where ``pip-audit`` is there and its service knows the packages, the exit status is 1 if one of them
has a vulnerability that is not among ``ACCEPTED``. Elsewhere, as without a network, it prints the
packages that this project names, each with its version and the day that it was installed, to be
compared by hand; the exit status is 0 then.
"""

import argparse
import json
import re
import subprocess
import sys
import sysconfig
import time
from importlib import metadata
from pathlib import Path
from typing import Any

ACCEPTED: dict[str, str] = {}
"""Vulnerabilities by id that do not concern this project, each with the reason."""
PATIENCE = 30.0
"""Seconds after which the service is given up."""


def audited(program: str, path: str) -> list[dict[str, Any]]:
    """Returns the packages that could be looked up, with their vulnerabilities."""
    command = [program, "--path", path, "--format", "json", "--progress-spinner", "off"]
    try:
        done = subprocess.run(
            [*command, "--timeout", "10"], capture_output=True, text=True, timeout=PATIENCE
        )
        found = json.loads(done.stdout)["dependencies"]
    except (OSError, subprocess.TimeoutExpired, ValueError, KeyError, TypeError):
        return []
    return [one for one in found if "skip_reason" not in one]


def faults(packages: list[dict[str, Any]]) -> list[str]:
    """Returns a line for every vulnerability that is not accepted."""
    return [
        f"{one['name']} {one['version']}: {vulnerability['id']}, mended in "
        f"{', '.join(vulnerability.get('fix_versions') or ['no version yet'])}"
        for one in packages
        for vulnerability in one.get("vulns", ())
        if vulnerability["id"] not in ACCEPTED
    ]


def listed(project: str, path: str) -> list[str]:
    """Returns a line for each package that the project names: its version, and when it came.

    Args:
        project: Name of the project's distribution.
        path: Folder of the installed packages.
    """
    wanted = [re.split(r"[^\w.-]", need)[0] for need in metadata.requires(project) or []]
    lines = []
    for name in sorted(dict.fromkeys(wanted), key=str.lower):
        found = metadata.distributions(name=name, path=[path])
        lines += [f"{name:20} {one.version:12} {_installed(one)}" for one in found]
    return lines


def _installed(package: metadata.Distribution) -> str:
    """Returns the day on which a package was installed."""
    files = [Path(str(one.locate())) for one in package.files or ()]
    times = [file.stat().st_mtime for file in files if file.name == "METADATA" and file.exists()]
    return time.strftime("%Y-%m-%d", time.gmtime(max(times))) if times else "unknown"


def main() -> int:
    """Audits, or lists."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--with", dest="program", default="pip-audit", help="pip-audit's program")
    parser.add_argument("--path", default=sysconfig.get_path("purelib"))
    given = parser.parse_args()
    known = audited(given.program, given.path)
    if known:
        wrong = faults(known)
        print(*wrong, f"{len(known)} packages looked up, {len(wrong)} vulnerabilities", sep="\n")
        return 1 if wrong else 0
    print("No package could be looked up (pip-audit or its service is missing); installed are:")
    print(*listed("chameleon_ray", given.path), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
