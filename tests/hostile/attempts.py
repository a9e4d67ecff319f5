"""The table of attempts: what is tried, and what must happen."""

from dataclasses import dataclass
from pathlib import Path

FACTORIES = "tests.hostile.factories"


@dataclass(frozen=True)
class Attempt:
    """One attempt.

    Attributes:
        what: What is tried, in words.
        model: The model that is to be tuned: the name of a factory of ``FACTORIES``, or of a file
            that ``tests.hostile.graphs`` writes.
        said: Words of the one sentence that must be said; empty where all must go well.
        inputs: Values of ``--input``.
    """

    what: str
    model: str
    said: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()

    def spec(self, folder: Path) -> str:
        """Returns the model as the command takes it; files are in a folder."""
        if self.model.endswith(".onnx"):
            return str(folder / self.model)
        return f"{FACTORIES}:{self.model}"


WRONG = "it must return a torch.nn.Module"
ALONE = "call it in a Python of its own"
CALLED = (
    Attempt("calls sys.exit(3)", "exits", ("ended Python by sys.exit(3)",)),
    Attempt("calls os._exit(3)", "exits_at_once", ("exited with status 3", ALONE)),
    Attempt("raises KeyboardInterrupt", "interrupts", ("raised KeyboardInterrupt",)),
    Attempt("raises an exception", "raises", ("the weights are on another disk",)),
    Attempt("raises one without a text", "raises_nothing_said", ("without a message",)),
    Attempt("raises one that has no text", "raises_the_unspeakable", ("without a message",)),
    Attempt("forks, and returns twice", "forks"),
    Attempt(
        "forks, and returns in the copy only",
        "forks_and_leaves_it_to_the_copy",
        ("exited with status 0", ALONE),
    ),
    Attempt("forks by way of the C library", "forks_beside_python"),
    Attempt("changes the working directory", "moves"),
    Attempt("clears the environment", "clears_the_environment"),
    Attempt("closes descriptors 3 to 255", "closes_some"),
    Attempt("closes descriptors 0 to 2", "closes_standard"),
    Attempt("closes all descriptors", "closes_all", ("closed all descriptors", ALONE)),
    Attempt(
        "writes to all descriptors",
        "writes_everywhere",
        ("something else wrote to the descriptor", ALONE),
    ),
    Attempt("prints 16 MiB", "prints_much"),
    Attempt("writes binary to descriptor 1", "writes_binary"),
    Attempt("ignores all polite signals", "ignores_signals"),
    Attempt("sets an alarm that kills it", "sets_an_alarm"),
    Attempt("starts threads that never end", "starts_threads"),
    Attempt("starts a process in a session of its own", "starts_a_process"),
    Attempt("starts a daemon", "starts_a_daemon"),
    Attempt("lowers the limit of open files", "limits_files"),
    Attempt("lowers the limit of memory", "limits_memory", ("more memory than there is",)),
    Attempt("takes all rights from new files", "masks_files"),
    Attempt("makes float64 torch's default", "wants_double"),
    Attempt("makes meta torch's default device", "wants_no_device", ("meta", "cpu")),
    Attempt("makes torch deterministic", "wants_determinism"),
    Attempt("replaces print, open and len", "replaces_builtins"),
    Attempt("closes Python's streams", "closes_streams"),
    Attempt("returns None", "nothing", ("returned None", WRONG)),
    Attempt("returns a text", "text", ("returned an object of type str", WRONG)),
    Attempt("returns a class", "a_class", ("the class Linear and no instance", WRONG)),
    Attempt("returns a tuple", "a_tuple", ("a tuple of 4", WRONG)),
    Attempt("returns a model whose output is a text", "texts", ("returns no tensor",)),
    Attempt("returns a model whose output is a dict", "a_dict"),
    Attempt("returns a model of a dict of texts", "a_dict_of_texts", ("returns no tensor",)),
    Attempt("returns a model without output", "no_output", ("returns no tensor",)),
    Attempt("returns a model that exits", "exits_when_called", ("ends Python when it is called",)),
    Attempt(
        "returns a model that raises KeyboardInterrupt",
        "interrupts_when_called",
        ("raises KeyboardInterrupt when it is called",),
    ),
    Attempt("returns a model that changes folder and environment", "moves_when_called"),
    Attempt("returns a model of bfloat16", "bfloat16"),
    Attempt(
        "returns one of bfloat16 for an input that is none",
        "bfloat16_weights",
        ("fails on inputs of shape 4x8",),
        ("input:4x8",),
    ),
    Attempt("returns a model whose output is float8", "float8", ("float8_e4m3fn",)),
    Attempt("returns a model whose output is complex32", "complex_half", ("complex",)),
    Attempt("returns a model whose output is sparse", "sparse", ("sparse",)),
    Attempt("returns an input of 32 TiB", "huge", ("more memory than there is",)),
    Attempt(
        "is given an input of 32 TiB",
        "small",
        ("more memory than there is",),
        ("input:1099511627776x8",),
    ),
)

OPEN = "give its shape, such as --input x:"
READ = (
    Attempt("reads a name that nothing makes", "undefined.onnx", ("'z'", "nothing in the graph")),
    Attempt("has a cycle", "cyclic.onnx", ("reads 'b'", "own output or comes later")),
    Attempt("has a node that reads itself", "own.onnx", ("reads 'y'", "own output")),
    Attempt("makes no output of that name", "no_output.onnx", ("its output 'y'",)),
    Attempt("declares a negative extent", "negative.onnx", ("extents below 1 (-4)", OPEN)),
    Attempt("declares an extent of zero", "zero.onnx", ("extents below 1 (0)", OPEN)),
    Attempt("is given the shape that it left out", "negative.onnx", (), ("x:4x8",)),
    Attempt(
        "is given an input of 32 TiB",
        "open.onnx",
        ("more memory than there is",),
        ("x:1099511627776x8",),
    ),
    Attempt("is cut short", "truncated.onnx", ("cut short",)),
    Attempt("is empty", "empty.onnx", ("not a valid ONNX model",)),
    Attempt("is no ONNX file", "noise.onnx", ("not a valid ONNX model",)),
)
