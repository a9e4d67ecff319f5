"""Where commands print: results on standard output, all else on standard error."""

from functools import partial

from chameleon_ray.answering import errors
from chameleon_ray.report.terminal import Terminal

screen = Terminal(soft_wrap=True)
tell = partial(errors.print, highlight=False, soft_wrap=True, markup=False)
