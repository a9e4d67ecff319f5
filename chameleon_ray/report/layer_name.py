"""A layer's name on a page."""

import re
from html import escape

from chameleon_ray.printable import printable


def layer_name(name: str) -> str:
    """Renders a layer's name as HTML that may be broken after its dots, slashes and underscores.

    What the layer computes, after it, is broken between words.
    """
    own, mark, what = printable(name).partition(" · ")
    return re.sub("([./_]+)", r"\1<wbr>", escape(own)) + escape(mark + what)
