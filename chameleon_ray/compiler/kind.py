"""What a kind of target is: all that tuning for a CPU and tuning for a GPU do not have in common.

The stages of the compiler are handed a kind; those that there are lie above the stages, in
``kinds``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chameleon_ray.limit import Limit
from chameleon_ray.measure.measurer import Artifact, Runner
from chameleon_ray.options import Measuring, Scheduling

Environment = tuple[tuple[str, str], ...]
"""Variables and their values."""


@dataclass(frozen=True)
class Device:
    """One device of a machine.

    Attributes:
        target: What ``--target`` would be.
        name: Model of the device.
        usable: TVM can compile for it and time on it here.
        missing: What to do about it where it is not; a note where it is.
        node: The machine it is in.
    """

    target: str
    name: str
    usable: bool
    missing: str = ""
    node: str = ""


def _nothing(*_: Any) -> None: ...


def _no_limits(module: Any, sketches: Sequence[Any], target: Any) -> tuple[Limit, ...]:
    return ()


def _cores(cores: tuple[int, ...]) -> str:
    return f"cores {cores}"


@dataclass(frozen=True, kw_only=True)
class TargetKind:
    """One kind of target; its fields are in the order in which a run comes to need them.

    Functions are those of a module, so that a kind can be sent to other processes, and they import
    the stages only when they are called. ``module``, ``target`` and ``device`` are TVM's.

    Attributes:
        name: TVM's name of the kind, which is also the shortest target.
        architectures: Whether ``NAME:ARCH`` is a target.
        demand: ``(text)``: raises ``TargetError`` where it is certain without TVM that the text is
            no target.
        resolve: ``(text, threads)`` -> the complete target as JSON; kernels on a CPU may use so
            many threads. Raises ``TargetError``.
        demand_compiler: ``(target)``: raises ``TargetError`` where nothing can compile for a
            complete target here.
        preload: Loads what TVM's libraries are linked to, before TVM is imported for the first
            time.
        probe: In a child that has imported TVM -> what TVM says of this machine's devices.
        devices: ``(probed, error)`` -> this machine's devices; where the child failed nothing was
            probed, and the error says why.
        device_name: ``(cores)`` -> what runners on so many cores time on, for people; empty where
            a runner has to be asked, which offers ``survey() -> Surveyed`` then.
        gpus: Counts the GPUs of this machine that could time. Of those every runner owns one, and
            its cores only feed it; None where the cores themselves are timed.
        place: ``(cores)`` -> which of a machine's devices a runner's process is on.
        layout: Of 2-D convolutions, where the user leaves it open: ``NHWC`` or ``NCHW``.
        rules: ``(layout, rewriting)`` -> how operators are legalised that are not left to TVM, by
            Relax's names of them; memory is to be saved where ``rewriting`` is not None.
        templates: The templates (``spaces.templates.template``), of which the first that fits a
            layer makes its space.
        generator: ``(module, target)`` -> MetaSchedule's generator of the sketches of a layer that
            no template fits; its postprocessors check all schedules.
        limits: ``(module, sketches, target)`` -> what configurations must keep.
        warm: Gets a process that is going to compile layers ready for it.
        default: ``(module, target)`` -> a layer, or a whole model, as it is without tuning.
        compile_layer: ``(module, target, linked)`` -> a scheduled layer's code, or why there is
            none; ``linked`` where building is to leave nothing to the runner.
        compile_model: ``(module, target)`` -> a whole model as TVM's executable.
        build_timeout: ``(options)`` -> seconds that a candidate may take to compile.
        runner: ``(options, cores, device)`` -> what times on a device of this name.
        helps: Whether a runner is a ``Builder``, too.
        environment: ``(threads)`` -> of a process that runs whole models on so many cores.
        device: The device, of those that a process sees, that it runs whole models on.
    """

    name: str
    architectures: bool = False
    demand: Callable[[str], None] = _nothing
    resolve: Callable[[str, int], str]
    demand_compiler: Callable[[str], None] = _nothing

    preload: Callable[[], None] = _nothing
    probe: Callable[[], Mapping[str, Any]]
    devices: Callable[[Mapping[str, Any], str], list[Device]]
    device_name: Callable[[int], str]
    gpus: Callable[[], int] | None = None
    place: Callable[[tuple[int, ...]], str] = _cores

    layout: str
    rules: Callable[[str, Scheduling | None], Mapping[str, Callable[..., Any]]]

    templates: Callable[[], Sequence[Callable[[Any, Any], Any]]]
    generator: Callable[[Any, Any], Any]
    limits: Callable[[Any, Sequence[Any], Any], tuple[Limit, ...]] = _no_limits

    warm: Callable[[], None]
    default: Callable[[Any, Any], Any]
    compile_layer: Callable[[Any, Any, bool], Artifact]
    compile_model: Callable[[Any, Any], Any]
    build_timeout: Callable[[Measuring], float]

    runner: Callable[[Measuring, tuple[int, ...], str], Runner]
    helps: bool = False
    environment: Callable[[int], Environment]
    device: Callable[[], Any]

    @property
    def owns_gpu(self) -> bool:
        """Whether every runner has a GPU to itself."""
        return self.gpus is not None

    def layout_of(self, asked: str) -> str:
        """The layout that was asked for; for ``auto`` the one that suits the kind."""
        return self.layout if asked == "auto" else asked
