"""Libraries of GPU kernels: compiled from a scheduled layer, and loaded into a process.

Left alone, TVM puts CUDA source into the library where the machine has no GPU, and compiles it when
the library is loaded. Here TVM hands the source to this module, which compiles it at once.
"""

import pickle
import re
from dataclasses import dataclass
from functools import cache, lru_cache
from tempfile import NamedTemporaryFile
from typing import Any

import tvm
import tvm_ffi

from chameleon_ray.compiler.codegen import vendor_glue
from chameleon_ray.compiler.codegen.async_copies import with_split_vectors
from chameleon_ray.compiler.codegen.barriers import with_barriers
from chameleon_ray.compiler.codegen.cuda_compiler import (
    Binary,
    CompileError,
    CudaCompiler,
    compiler_for,
)
from chameleon_ray.compiler.codegen.cuda_resources import Resources, resources
from chameleon_ray.compiler.codegen.warp_barriers import write_warp_barriers
from chameleon_ray.compiler.tvm_process import UNCHECKED, cuda_passes
from chameleon_ray.measure.measurer import Artifact
from chameleon_ray.record import LONGEST_ERROR, Status

CREATE = "ffi.Module.create.cuda"
"""Name of the function by which TVM makes a module of device code.

It is this module's function where layers are compiled, and TVM's own in the runner.
"""
CALLBACK = "tvm_callback_cuda_compile"
"""Name of the function by which TVM compiles CUDA source."""
DYNAMIC = "tirx.use_dyn_shared_memory"
TOO_MUCH = re.compile(r"uses too much|too many resources", re.IGNORECASE)
"""Pattern of ptxas's errors about resources that the GPU has too little of."""
LAUNCH = re.compile(r'call_ffi_kernel\("(\w+)".*?T\.int64\((\d+)\), launch_params=')


class CannotLaunch(Exception):
    """A layer without a kernel, or with one that asks for more than the GPU has."""


@dataclass(frozen=True)
class Library:
    """A compiled layer.

    Attributes:
        host: LLVM IR of the code that launches the kernels.
        binary: ELF file of the kernels, for one architecture; empty where the code calls a vendor's
            library instead.
        functions: Description of how the kernels are launched, as TVM's JSON.
    """

    host: bytes
    binary: bytes
    functions: str

    def dumps(self) -> bytes:
        return pickle.dumps((self.host, self.binary, self.functions))

    @staticmethod
    def loads(body: bytes) -> "Library":
        """Reads a library that ``dumps`` has written."""
        return Library(*pickle.loads(body))


def compile_kernels(
    module: Any, target: Any, compiler: CudaCompiler | None = None
) -> tuple[Library, Resources]:
    """Compiles a scheduled layer for a GPU that need not be there.

    Args:
        module: IRModule with one PrimFunc ``main``, scheduled.
        target: ``tvm.target.Target`` of a GPU.
        compiler: Compiler for the target's architecture; the machine's where None.

    Raises:
        CompileError: The compiler turned the kernels down.
        CannotLaunch: The layer has no kernel, or no block of one fits on the GPU.
    """
    arch = str(target.attrs["arch"])
    collector = _collector()
    collector.begin(compiler or _compiler(arch))
    built = _built(module, target, collector)
    binary, functions = collector.binary, collector.functions
    if binary is None:
        raise CannotLaunch("nothing in it is bound to a GPU's threads")
    taken = resources(binary, arch, collector.dynamic)
    if taken.occupancy == 0:
        raise CannotLaunch(
            f"a block of {taken.threads} threads with {taken.registers} registers each and "
            f"{taken.shared} bytes of shared memory does not fit on {arch}"
        )
    with NamedTemporaryFile(suffix=".ll") as file:
        built.mod.write_to_file(file.name, "ll")
        return Library(file.read(), binary.code, functions), taken


def _built(module: Any, target: Any, collector: "Collector") -> Any:
    """Has TVM compile a layer; an error of the compiler is raised as the compiler raised it.

    What crosses TVM arrives as a RuntimeError, whatever it was.
    """
    around = tvm.transform.PassContext(opt_level=3, config=UNCHECKED, instruments=[collector.watch])
    with around, cuda_passes():
        try:
            return tvm.compile(with_split_vectors(with_barriers(module)), target=target)
        except Exception:
            if collector.refusal is not None:
                raise collector.refusal from None
            raise


def compile_layer(module: Any, target: Any) -> Artifact:
    """Compiles a scheduled layer; one that takes more than the GPU has is invalid."""
    try:
        library, taken = compile_kernels(module, target)
    except CannotLaunch as reason:
        return Artifact(status=Status.INVALID, error=str(reason))
    except CompileError as reason:
        status = Status.INVALID if TOO_MUCH.search(str(reason)) else Status.BUILD_ERROR
        return Artifact(status=status, error=_first_error(str(reason)))
    return Artifact(library.dumps(), resources=taken.dumps())


def _first_error(report: str) -> str:
    """Returns the first line of a compiler's report that says what is wrong."""
    lines = [line.strip() for line in report.splitlines() if line.strip()]
    lines = lines or ["the compiler gave no reason"]
    return next((line for line in lines if "error" in line.lower()), lines[0])[:LONGEST_ERROR]


def compile_model(module: Any, target: Any) -> Any:
    """Compiles a scheduled model with the builders' compiler, to TVM's executable.

    Otherwise TVM would use its own options. Kernels are compiled once where a model of the same
    source follows, as it does for the same model with graphs.

    Raises:
        CompileError: The compiler turned the kernels down; the text is one line.
    """
    arch, refusals = str(target.attrs["arch"]), list[CompileError]()
    write_warp_barriers()

    def compiled(source: Any) -> bytes:
        try:
            return _compiled(arch, str(source))
        except CompileError as refusal:
            refusals.append(refusal)
            raise

    tvm_ffi.register_global_func(CALLBACK, compiled, override=True)
    try:
        return tvm.compile(with_split_vectors(with_barriers(module)), target)
    except Exception:  # what crosses TVM arrives as another error, whatever it was
        if refusals:
            raise CompileError(_first_error(str(refusals[0]))) from None
        raise


def forbid_compiling() -> None:
    """Makes any compilation of CUDA source in this process an error."""

    def refuse(_: Any) -> None:
        raise RuntimeError("this process only loads what builders have compiled")

    tvm_ffi.register_global_func(CALLBACK, refuse, override=True)


def load(library: Library) -> Any:
    """Makes a callable module of a library; needs TVM's CUDA runtime, and compiles no kernels.

    Raises:
        VendorUnavailable: It calls a vendor's library, and what calls these cannot be built here.
    """
    if not library.binary:
        vendor_glue.load()
        return _host(library)
    create = tvm_ffi.get_global_func(CREATE)
    device = create(library.binary, "cubin", tvm.ir.load_json(library.functions), {})
    host = _host(library)
    host.import_module(device)
    return host


def _host(library: Library) -> Any:
    with NamedTemporaryFile(suffix=".ll") as file:
        file.write(library.host)
        file.flush()
        return tvm.runtime.load_module(file.name)


class Collector:
    """Takes the place of TVM's CUDA runtime while a layer is compiled.

    Attributes:
        binary: Binary of the layer compiled last.
        refusal: Error with which the compiler turned that layer down; None where it did not.
        functions: Description of how that layer's kernels are launched, as TVM's JSON.
        watch: Pass instrument that has to be in force while a layer is compiled.
    """

    def __init__(self) -> None:
        self.binary: Binary | None = None
        self.refusal: CompileError | None = None
        self.functions, self._lowered = "", None
        self.watch = _watch(self)
        empty = tvm_ffi.get_global_func("runtime.CSourceModuleCreate")
        self._empty = lambda: empty("//", "c", [], [])
        tvm_ffi.register_global_func(CREATE, self._create, override=True)

    def begin(self, compiler: CudaCompiler) -> None:
        """Forgets the previous layer and takes the compiler of the next."""
        self.binary = self.refusal = None
        self._compiler, self._lowered = compiler, None

    def lowered(self, module: Any) -> None:
        """Notes the layer once its kernels are split from the code that launches them."""
        self._lowered = module

    @property
    def dynamic(self) -> int:
        """Most bytes of shared memory that a kernel asks for at launch."""
        if DYNAMIC not in self.functions or self._lowered is None:
            return 0
        return max((int(size) for _, size in LAUNCH.findall(self._lowered.script())), default=0)

    def _create(self, code: Any, form: str, functions: Any, source: Any) -> Any:
        try:
            self.binary = self._compiler.compile(bytes(code).decode())
        except CompileError as refusal:
            self.refusal = refusal
            raise
        self.functions = tvm.ir.save_json(functions)
        return self._empty()


def _watch(collector: Collector) -> Any:
    @tvm.instrument.pass_instrument
    class Watch:
        def run_after_pass(self, module: Any, info: Any) -> None:
            if info.name == "tirx.SplitHostDevice":
                collector.lowered(module)

    return Watch()


@cache
def _collector() -> Collector:
    write_warp_barriers()
    return Collector()


@lru_cache(maxsize=1)
def _compiled(arch: str, source: str) -> bytes:
    return _compiler(arch).compile(source).code


@cache
def _compiler(arch: str) -> CudaCompiler:
    return compiler_for(arch)
