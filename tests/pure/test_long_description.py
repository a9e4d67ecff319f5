"""What package indexes show of the README: no link leads nowhere."""

import importlib.util
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def loaded() -> Any:
    spec = importlib.util.spec_from_file_location("project_setup", ROOT / "setup.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_relative_links_become_absolute_or_text() -> None:
    text = "![p](a.svg) [b](docs/b.md#c), [d](#e), [f](https://g.org)\n<!-- h -->\nend"
    described = loaded().described
    assert described(text, "") == " b, [d](#e), [f](https://g.org)\nend"
    files = "https://h.org/x"
    assert described(text, files) == (
        "![p](https://h.org/x/a.svg) [b](https://h.org/x/docs/b.md#c), [d](#e), [f](https://g.org)\nend"
    )


def test_the_readme_keeps_what_it_says() -> None:
    setup = loaded()
    readme = (ROOT / "README.md").read_text()
    described = setup.described(readme, "")
    assert setup.LINK.search(readme)
    assert setup.LINK.search(described) is None
    assert "pip install . && chameleon tune resnet-18" in described
    assert "https://openreview.net/forum?id=rygG4AVFvH" in described
