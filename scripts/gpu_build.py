"""The part of ``gpu_check.py`` that compiles the kernels of the others, with a GPU or without."""

import gpu_faults
import gpu_kernels
import gpu_stamp
from gpu_parts import Given

from chameleon_ray.compiler.codegen.builder import ChildBuilder
from chameleon_ray.compiler.kinds import CUDA, resolve
from chameleon_ray.compiler.runtime.cuda_runner import CudaRunner


def build(given: Given) -> None:
    """Compiles for the architecture that was asked for, or else for this machine's GPU."""
    target = resolve(f"cuda:{given.arch}", 1) if given.arch else surveyed()
    given.prebuilt.mkdir(parents=True, exist_ok=True)
    gpu_stamp.claim(given.prebuilt, given.only)
    CUDA.warm()
    builder, report = ChildBuilder(CUDA, gpu_kernels.MEASURING), given.report
    try:
        report.entry(("faults",), lambda: gpu_faults.build(builder, target, given.prebuilt))
        for kind, dtype in gpu_kernels.chosen(given.only):
            report.entry(
                ("kernels", kind, dtype),
                lambda kind=kind, dtype=dtype: gpu_kernels.build(
                    builder, target, kind, dtype, given.prebuilt
                ),
            )
    finally:
        builder.close()
    report.fields["target"] = target
    report.fields["mib"] = round(folder_bytes(given) / 2**20, 1)
    report.write()


def folder_bytes(given: Given) -> int:
    return sum(file.stat().st_size for file in given.prebuilt.glob("*") if file.is_file())


def surveyed() -> str:
    """The target of this machine's GPU, as JSON.

    Raises:
        RuntimeError: There is none that can be used.
    """
    runner = CudaRunner(gpu_kernels.MEASURING)
    try:
        found = runner.survey()
    finally:
        runner.close()
    if found.error:
        raise RuntimeError(found.error)
    return found.target
