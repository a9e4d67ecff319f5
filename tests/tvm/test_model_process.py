"""The process that holds a model: what is known of a tuned model once the model was let go."""

from contextlib import ExitStack
from pathlib import Path

from chameleon_ray.api.model_process import ModelProcess
from chameleon_ray.compiler.kinds import LLVM
from chameleon_ray.measure.cores import available
from chameleon_ray.options import Request
from chameleon_ray.record import DEFAULT
from tests.whole.onnx_net import dense_layers


def test_layers_are_timed_inside_a_model_that_was_let_go(tmp_path: Path) -> None:
    request = Request(dense_layers(tmp_path / "net.onnx", 32, 64))
    library = tmp_path / "model.so"
    with ExitStack() as stack:
        process = ModelProcess(LLVM, available()[-1:], stack)
        prepared = process.prepare(request)
        winners = {task.digest: (DEFAULT, 1e-3) for task in prepared.tasks}
        process.compile_tuned(winners, library, tmp_path / "database")
        assert process.holds(request)
        process.clear()
        assert not process.holds(request)
        assert not process.lost
        (inside,) = process.profile([library], prepared.inputs, 0.5)
        assert inside.keys() == winners.keys()
        assert min(inside.values()) > 0
        assert process.prepare(request).digest == prepared.digest
