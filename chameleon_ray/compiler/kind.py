"""Kinds of target: all in which tuning for a CPU and tuning for a GPU differ.

The stages of the compiler are handed a kind. The kinds themselves are in ``kinds``, above the
stages.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chameleon_ray.limit import Limit
from chameleon_ray.measure.measurer import Artifact, Runner
from chameleon_ray.options import Measuring, Scheduling
from chameleon_ray.space import Config

Environment = tuple[tuple[str, str], ...]
"""Environment variables and their values."""
Rules = Mapping[str, Callable[..., Any]]
"""How operators are legalised, by Relax's names of them."""


@dataclass(frozen=True)
class Device:
    """One device of a machine.

    Attributes:
        target: Value of ``--target`` for the device.
        name: Model of the device.
        usable: Whether TVM can compile for the device and time on it here.
        missing: Advice on a device that is not usable; a note on one that is.
        node: Name of the machine that the device is in.
    """

    target: str
    name: str
    usable: bool
    missing: str = ""
    node: str = ""


@dataclass(frozen=True)
class Graphs:
    """How whole models of a kind can launch most of their kernels at once, as recorded graphs.

    Attributes:
        options: Options of TVM's compiler that make a model record its launches.
        function: Function by which such a model launches a graph; a model without graphs has none.
    """

    options: Mapping[str, Any]
    function: str


def _nothing(*_: Any) -> None: ...


def _no_types(target: Any) -> Mapping[str, str]:
    return {}


def _no_rules(module: Any, rules: Rules) -> tuple[Rules, ...]:
    return ()


def _no_libraries(module: Any) -> tuple[str, ...]:
    return ()


def _no_limits(module: Any, sketches: Sequence[Any], target: Any) -> tuple[Limit, ...]:
    return ()


def _cores(cores: tuple[int, ...]) -> str:
    return f"cores {cores}"


@dataclass(frozen=True, kw_only=True)
class TargetKind:
    """One kind of target; its fields are in the order in which a run needs them.

    Functions are shown with their arguments. They are functions of a module, so that a kind can be
    sent to other processes, and they import the stages only when they are called. ``module`` and
    ``target`` are TVM's objects, unless a target is said to be text or JSON.

    Attributes:
        name: TVM's name of the kind, which is also the shortest target.
        architectures: Whether ``NAME:ARCH`` is a target.
        demand: ``(text)``. Raises ``TargetError`` where it is certain without TVM that the text is
            no target.
        resolve: ``(text, threads)``. Returns the complete target as JSON, which lets kernels on a
            CPU use so many threads. Raises ``TargetError``.
        demand_compiler: ``(target)``. Raises ``TargetError`` where nothing here can compile for a
            complete target, given as JSON.
        preload: ``()``. Loads the libraries that TVM's are linked to, before TVM is imported for
            the first time.
        probe: ``()``. Returns what TVM says of this machine's devices; called in a child, which may
            import TVM.
        devices: ``(probed, error)``. Returns this machine's devices. Where the child failed,
            ``probed`` is empty and ``error`` says why.
        device_name: ``(cores, instances)``. Names the device that runners on so many cores time
            on, with so many copies at once, for people. Empty where a runner has to be asked; it
            offers ``survey() -> Surveyed`` then.
        gpus: ``()``. Counts the GPUs of this machine that could time. Every runner owns one of
            them, and its cores only feed it. None where the cores themselves are timed.
        place: ``(cores)``. Names the device, among its machine's, that a runner's process is on.
        layout: Default layout of 2-D convolutions: ``NHWC`` or ``NCHW``.
        mixed: Whether there are units that multiply 16-bit floats and add up in float32. If so,
            products of these types are computed there, in ``NHWC`` by default. Elsewhere only
            weights may be of 16 bits.
        demand_precision: ``(target, precision)``. Raises ``TargetError`` where a device of a
            complete target, given as JSON, has not the precision that was asked for.
        rules: ``(layout, rewriting)``. Returns how operators are legalised that are not left to
            TVM, by Relax's names of them. Memory is to be saved where ``rewriting`` is not None.
        alternatives: ``(module, rules)``. Returns further rules, any of which may take the place of
            these for any of a module's operators: other lowerings, to be measured. Called with the
            target in force.
        integers: ``(module, layout, rewriting)``. Turns layers of small integers into the loops
            that suit the kind's instructions for them. Called before the rules, with the target in
            force. None where layers of quantised data and weights are computed in floats.
        joined: ``(module, layout)``. Joins operators that become one layer. Called before layouts
            are changed, with the target in force. None where that is left to TVM.
        widened: ``(target)``. Returns the types of float that are computed in float32, each with
            the reason, as the end of a sentence.
        templates: ``()``. Returns the templates (``spaces.templates.template``). The first that
            fits a layer makes its space.
        generator: ``(module, target)``. Returns MetaSchedule's generator of the sketches of a layer
            that no template fits. Its postprocessors check all schedules.
        limits: ``(module, sketches, target)``. Returns the limits that configurations must keep.
        vendor: ``(module)``. Returns the vendor's libraries that have a function for a layer.
        vendor_call: ``(module, config)``. Returns a layer as the call of a library that a vendor's
            configuration stands for.
        warm: ``()``. Prepares a process that is going to compile layers.
        default: ``(module, target)``. Returns a layer, or a whole model, as it is without tuning.
        compile_layer: ``(module, target, linked)``. Returns a scheduled layer's code, or why there
            is none. If ``linked``, building leaves nothing to the runner.
        compile_model: ``(module, target)``. Returns a whole model as TVM's executable.
        graphs: How whole models can launch recorded graphs; None where they cannot.
        build_timeout: ``(options)``. Returns the seconds that a candidate may take to compile.
        runner: ``(options, cores, device)``. Makes a runner that times on a device of this name.
        helps: Whether a runner is a ``Builder``, too.
        environment: ``(threads)``. Returns the environment of a process that runs whole models on
            so many cores.
        device: ``()``. Returns the device that a process runs whole models on, as TVM's object. The
            process compiles nothing from then on.
    """

    name: str
    architectures: bool = False
    demand: Callable[[str], None] = _nothing
    resolve: Callable[[str, int], str]
    demand_compiler: Callable[[str], None] = _nothing

    preload: Callable[[], None] = _nothing
    probe: Callable[[], Mapping[str, Any]]
    devices: Callable[[Mapping[str, Any], str], list[Device]]
    device_name: Callable[[int, int], str]
    gpus: Callable[[], int] | None = None
    place: Callable[[tuple[int, ...]], str] = _cores

    layout: str
    mixed: bool = False
    demand_precision: Callable[[str, str], None] = _nothing
    rules: Callable[[str, Scheduling | None], Rules]
    alternatives: Callable[[Any, Rules], Sequence[Rules]] = _no_rules
    integers: Callable[[Any, str, Scheduling | None], Any] | None = None
    joined: Callable[[Any, str], Any] | None = None
    widened: Callable[[Any], Mapping[str, str]] = _no_types

    templates: Callable[[], Sequence[Callable[[Any, Any], Any]]]
    generator: Callable[[Any, Any], Any]
    limits: Callable[[Any, Sequence[Any], Any], tuple[Limit, ...]] = _no_limits

    vendor: Callable[[Any], tuple[str, ...]] = _no_libraries
    vendor_call: Callable[[Any, Config], Any] = _nothing
    warm: Callable[[], None]
    default: Callable[[Any, Any], Any]
    compile_layer: Callable[[Any, Any, bool], Artifact]
    compile_model: Callable[[Any, Any], Any]
    graphs: Graphs | None = None
    build_timeout: Callable[[Measuring], float]

    runner: Callable[[Measuring, tuple[int, ...], str], Runner]
    helps: bool = False
    environment: Callable[[int], Environment]
    device: Callable[[], Any]

    @property
    def owns_gpu(self) -> bool:
        """Whether every runner has a GPU to itself."""
        return self.gpus is not None

    def layout_of(self, asked: str, mixed: bool = False) -> str:
        """Returns the layout that was asked for; for ``auto``, the kind's own.

        Args:
            asked: ``auto``, ``NHWC`` or ``NCHW``.
            mixed: Whether products of 16-bit floats, or of TF32, are computed as such.
        """
        own = "NHWC" if mixed else self.layout
        return own if asked == "auto" else asked
