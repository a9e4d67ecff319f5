"""A layer's name on a page."""

import re
from html import escape

from chameleon_ray.printable import printable


def layer_name(name: str) -> str:
    """Renders a layer's name as HTML that may be broken after dots, slashes and underscores."""
    return re.sub("([./_]+)", r"\1<wbr>", escape(printable(name)))
