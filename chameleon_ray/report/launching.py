"""Words about how a tuned model's kernels are launched."""

from chameleon_ray.report.format import UNKNOWN, milliseconds
from chameleon_ray.report.result import Launching


def sentence(launching: Launching) -> str:
    """Tells how the kernels are launched, and what the other way took."""
    if launching.fault:
        return f"Kernels are launched one by one; CUDA graphs are left out: {launching.fault}."
    other = milliseconds(launching.other.seconds) if launching.other else UNKNOWN
    took = f"the tuned model takes {other} ms"
    if not launching.graphs:
        return f"Kernels are launched one by one; with CUDA graphs {took}."
    return (
        f"Kernels are launched as CUDA graphs; one by one {took}. The untuned model is as TVM "
        "compiles it, without graphs."
    )
