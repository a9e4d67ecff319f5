"""The kinds of target that can be tuned for, one file each, and which one a target is of.

All that differs between kinds is in a ``TargetKind``. It is looked up once in a process's life, by
whoever has the user's target, and passed on. Another kind is another file and another entry.
"""

from chameleon_ray.compiler.kind import TargetKind
from chameleon_ray.compiler.kinds.cuda import CUDA
from chameleon_ray.compiler.kinds.llvm import LLVM
from chameleon_ray.compiler.target import TargetError, fields_of

KINDS: dict[str, TargetKind] = {"llvm": LLVM, "cuda": CUDA}


def kind_of(text: str) -> TargetKind:
    """Finds the kind of a target, which may be the user's text or TVM's JSON.

    Raises:
        TargetError: The target is of none of these kinds.
    """
    base, _, architecture = text.partition(":")
    if architecture and base in KINDS and KINDS[base].architectures:
        return KINDS[base]
    name = fields_of(text).get("kind") if text.lstrip().startswith("{") else text
    if not isinstance(name, str) or name not in KINDS:
        known = ", ".join(KINDS)
        raise TargetError(f"The target kind {name!r} cannot be tuned for; use one of: {known}.")
    return KINDS[name]


def resolve(text: str, threads: int) -> str:
    """Completes a target, and returns it as JSON.

    Args:
        text: ``llvm`` for this machine's CPU, ``cuda:sm_90`` for a GPU of that architecture, or a
            target as JSON. A plain ``cuda`` is refused: the runner completes it, as it has the GPU.
        threads: Number of threads that a kernel may use on a CPU. A JSON target's own ``num-cores``
            takes precedence.

    Raises:
        TargetError: TVM does not know the target, or this machine can do nothing with it.
    """
    return kind_of(text).resolve(text, threads)
