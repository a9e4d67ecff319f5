"""Words about how a tuned model's kernels are launched."""

from chameleon_ray.report.format import UNKNOWN
from chameleon_ray.report.result import Launching


def sentence(launching: Launching) -> str:
    """Tells how the kernels are launched, and how much longer the other way takes."""
    if launching.fault:
        return f"Kernels are launched one by one; CUDA graphs are left out: {launching.fault}."
    other = UNKNOWN if launching.ratio is None else f"{launching.ratio:.2f}"
    took = f"the tuned model takes {other} times as long"
    if not launching.graphs:
        return f"Kernels are launched one by one; with CUDA graphs {took}."
    return (
        f"Kernels are launched as CUDA graphs; one by one {took}. The untuned model is as TVM "
        "compiles it, without graphs."
    )
