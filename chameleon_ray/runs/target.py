"""A TVM target in a word or two, for people."""

import json


def short(target: str) -> str:
    """Returns kind and processor of a target, such as ``llvm znver4``; the text if it is no JSON.

    Args:
        target: TVM target, as JSON.
    """
    try:
        body = json.loads(target)
    except (ValueError, RecursionError):
        return target
    if not isinstance(body, dict):
        return target
    parts = [body.get(key) for key in ("kind", "mcpu", "arch")]
    return " ".join(part for part in parts if isinstance(part, str) and part)
