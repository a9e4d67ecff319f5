"""Every code block of the documents is run by a test, or says why not, and can be read."""

import json
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from tests.code_blocks import DOCUMENTS, READ, ROOT, RUN, SHOWN, Block, blocks

READERS = {"yaml": yaml.safe_load, "toml": tomllib.loads, "json": json.loads}


def unaccounted(block: Block) -> str:
    """What is wrong with a block of code, whether it is run or not; empty where nothing is."""
    if block.language not in (*RUN, *READ, *SHOWN):
        return f"line {block.line}: {block.language!r} is no language of ours"
    try:
        if block.language == "python":
            compile(block.text, "block", "exec")
        elif block.language == "bash":
            subprocess.run(["bash", "-n"], input=block.text, text=True, check=True)
        elif block.language in READ:
            READERS[block.language](block.text)
    except Exception as error:
        return f"line {block.line}: {error}"
    return ""


@pytest.mark.parametrize("path", DOCUMENTS, ids=[str(path.relative_to(ROOT)) for path in DOCUMENTS])
def test_code_blocks_are_sound(path: Path) -> None:
    assert [said for block in blocks(path.read_text()) if (said := unaccounted(block))] == []


@pytest.mark.parametrize(
    "fence", ["", "basic", "python\ndef f(:", "bash\nif", "yaml\na: b: c", "toml\n=", "json\n{"]
)
def test_a_wrong_code_block_is_found(fence: str) -> None:
    (block,) = blocks(f"```{fence}\n```")
    assert unaccounted(block)


def test_blocks_are_run_unless_a_reason_stands_before_them() -> None:
    text = """
<!-- not run: needs a GPU -->
```bash
true
```

* of a list

    <!-- not run: and so here -->
    ```python title="a.py"
    pass
    ```

<!-- not run: for nothing -->

text
```python
pass
```
"""
    one, two, three = blocks(text)
    assert [block.reason for block in (one, two, three)] == ["needs a GPU", "and so here", ""]
    assert [block.runs for block in (one, two, three)] == [False, False, True]
    assert (two.title, two.text, two.line) == ("a.py", "pass\n", 11)
