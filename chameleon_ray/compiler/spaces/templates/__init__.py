"""Schedules written for a class of layers, with their parameters left open."""

from chameleon_ray.compiler.spaces.templates.cpu_attention import cpu_attention
from chameleon_ray.compiler.spaces.templates.cpu_direct import cpu_direct
from chameleon_ray.compiler.spaces.templates.cpu_integer import cpu_integer
from chameleon_ray.compiler.spaces.templates.cpu_packed import cpu_packed
from chameleon_ray.compiler.spaces.templates.cpu_rows import cpu_rows
from chameleon_ray.compiler.spaces.templates.cpu_winograd import cpu_winograd
from chameleon_ray.compiler.spaces.templates.cuda_dense import cuda_dense
from chameleon_ray.compiler.spaces.templates.cuda_direct import cuda_direct
from chameleon_ray.compiler.spaces.templates.cuda_tensor_core import cuda_tensor_core
from chameleon_ray.compiler.spaces.templates.cuda_winograd import cuda_winograd
from chameleon_ray.compiler.spaces.templates.template import Template

TEMPLATES: dict[str, tuple[Template, ...]] = {
    "llvm": (cpu_direct, cpu_winograd, cpu_integer, cpu_attention, cpu_packed, cpu_rows),
    "cuda": (cuda_tensor_core, cuda_direct, cuda_winograd, cuda_dense),
}
"""Templates by kind of target; the first that fits a layer makes its space."""
