"""The long description for package indexes; all else is in ``pyproject.toml``."""

import re
import tomllib
from pathlib import Path

from setuptools import setup

ROOT = Path(__file__).parent
LINK = re.compile(r"!?\[([^\]]*)\]\((?![a-z]+:|#)([^)\s]+)\)")
"""A link or picture whose target is a file of the repository: its text, and its target."""


def described(readme: str, repository: str) -> str:
    """Returns the README with links that hold anywhere.

    Args:
        readme: Markdown, with targets relative to the repository.
        repository: Address under which files of the repository are found; where it is empty, links
            become their texts, and pictures are left out.
    """

    def absolute(match: re.Match[str]) -> str:
        picture = match[0].startswith("!")
        if repository:
            return f"{'!' * picture}[{match[1]}]({repository}/{match[2]})"
        return "" if picture else match[1]

    return LINK.sub(absolute, re.sub(r"<!--.*?-->\n", "", readme))


if __name__ == "__main__":
    urls = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]
    setup(
        long_description=described((ROOT / "README.md").read_text(), urls.get("Files", "")),
        long_description_content_type="text/markdown",
    )
