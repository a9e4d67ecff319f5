"""Where commands print: results on standard output, all else on standard error."""

from functools import partial

from rich.console import Console

from chameleon_ray.answering import errors

screen = Console(soft_wrap=True, highlight=False)
tell = partial(errors.print, highlight=False, soft_wrap=True, markup=False)
