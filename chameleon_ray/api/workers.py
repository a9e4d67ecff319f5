"""Workers: a request and the machine that they find themselves on in, builders and runners out.

They are made in processes of their own, which may be on other machines than the command's.
"""

import os

from chameleon_ray.compiler.codegen.builder import LocalBuilder
from chameleon_ray.compiler.codegen.link import linker
from chameleon_ray.compiler.runtime.cpu_runner import CpuRunner
from chameleon_ray.compiler.runtime.cuda_runner import CudaRunner
from chameleon_ray.compiler.runtime.model_bench import ModelBench
from chameleon_ray.compiler.target import device_name, is_gpu
from chameleon_ray.measure.calibrated import Calibrated
from chameleon_ray.measure.cores import available, machine, split
from chameleon_ray.options import Request
from chameleon_ray.pool import Unfit

LINKING = 3
"""Builders on a machine from which on they generate machine code, and do without help: with fewer
the core that times would be idle while they compile."""


def builder(request: Request, here: str, cores: tuple[int, ...], timing: int) -> LocalBuilder:
    """A builder, on the cores given or, elsewhere, on those that time nothing there.

    Raises:
        Unfit: The other machine has not as many cores as are to time.
    """
    if machine() != here:
        cores, _ = elsewhere(request, timing)
    linked = len(cores) >= LINKING and not request.build_only and linker() is not None
    return LocalBuilder(request.measuring, cores, is_gpu(request.target), linked)


def runner(request: Request, here: str, cores: tuple[int, ...], device: str) -> Calibrated:
    """A runner, on the cores given or, elsewhere, on the timing cores there.

    Raises:
        Unfit: The other machine's device is another one, so its latencies would mean nothing.
    """
    if machine() != here:
        _, cores = elsewhere(request, len(cores))
        found = device_name(len(cores))
        if found != device:
            raise Unfit(f"it has {found}, and this run is for {device}; tune for it in another run")
    runner = CpuRunner(request.measuring, cores, device)
    return _calibrated(request, runner, f"{machine()}, cores {cores}", cores)


def gpu_runner(request: Request, here: str, cores: tuple[int, ...]) -> Calibrated:
    """A runner of a GPU, whose process is on the cores given or on the timing cores elsewhere.

    Raises:
        Unfit: The other machine has not as many cores as are to time.
    """
    if machine() != here:
        _, cores = elsewhere(request, len(cores))
    place = f"{machine()}, GPU {os.environ.get('CUDA_VISIBLE_DEVICES', '')}"
    return _calibrated(request, CudaRunner(request.measuring, cores), place, cores)


def _calibrated(
    request: Request, runner: CpuRunner | CudaRunner, place: str, cores: tuple[int, ...]
) -> Calibrated:
    """A runner that is comparable with others, and runs whole models on the same cores."""
    models = ModelBench(cores, request.confirming.model_timeout)
    return Calibrated(runner, place, request.calibrating, models)


def elsewhere(request: Request, timing: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Another machine's cores for builds, and those for timing.

    A CPU times on as many as this machine's; GPUs have one each.
    """
    if request.build_only:
        return available(), ()
    try:
        if not is_gpu(request.target):
            return split(available(), request.threads or timing)
        from chameleon_ray.cluster import gpus

        return split(available(), request.threads, gpus.here())
    except ValueError as error:
        raise Unfit(str(error)) from error
