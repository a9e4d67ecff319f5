"""``relax_pass``: a pass of TVM's that gives a Relax module's layers their tuned schedules."""

import os
from pathlib import Path
from typing import Any

from chameleon_ray.api.winners_pass import pass_of_run, pass_of_store
from chameleon_ray.errors import UserError
from chameleon_ray.interface.tuning import request_of

OF_A_RUN = "The target and other options are the run's own; leave them out, or leave out the run."


def relax_pass(run: str | os.PathLike | None = None, **options: Any) -> Any:
    """Returns a ``tvm.transform.Pass`` that lowers a Relax module with tuned schedules.

    It is for whoever compiles with TVM, as
    ``tvm.compile(relax_pass("runs/net")(module), "llvm")``, or for the ``pipeline`` of
    ``tvm.relax.frontend.torch.relax_dynamo``. Weights should be constants of the module: a layer
    whose weights are inputs is another one, which has not been tuned. Layers without a winner have
    the default schedule.

    Args:
        run: Directory of a finished run, whose winners and target count; where None, a store's.
        options: Where there is no run: ``store``, ``target``, ``threads``, ``instances``,
            ``layout`` and ``precision``, as for ``tune``.

    Raises:
        UserError: The run is not finished, the target is a GPU's, or there is no such option.
    """
    if run is None:
        return pass_of_store(request_of(options))
    if options:
        raise UserError(OF_A_RUN)
    return pass_of_run(Path(run))
