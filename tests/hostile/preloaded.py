"""The handler of the model's process, with its slow imports done before children are forked."""

from chameleon_ray.compiler.kind import TargetKind
from chameleon_ray.compiler.model_host import ModelHost


def host(kind: TargetKind) -> ModelHost:
    """Makes the handler; what it imports here need not be imported for each model."""
    kind.preload()
    import chameleon_ray.compiler.frontend.torch.torch_module  # noqa: F401

    return ModelHost(kind)
