"""Memory that torch hands over to a compiled model."""

from pathlib import Path

import numpy as np
import pytest
import torch
import tvm
from tvm import relax

from chameleon_ray.compiler.runtime.callable_model import CallableModel

SHAPE = (4, 16)


class OnGpu(torch.Tensor):
    """A tensor that says that it is on a GPU, which the torch of most test machines cannot have."""

    @property
    def is_cuda(self) -> bool:
        return True


class Stream:
    """A stream in which torch still has to compute a tensor."""

    def __init__(self, tensor: torch.Tensor) -> None:
        self.tensor, self.devices = tensor, list[torch.device]()

    def of(self, device: torch.device) -> "Stream":
        self.devices.append(device)
        return self

    def synchronize(self) -> None:
        self.tensor.fill_(3.0)


@pytest.fixture
def model(tmp_path: Path) -> CallableModel:
    """A model that doubles numbers."""
    builder, x = relax.BlockBuilder(), relax.Var("x", relax.TensorType(SHAPE, "float32"))
    with builder.function("main", [x]):
        with builder.dataflow():
            result = builder.emit_output(relax.op.add(x, x))
        builder.emit_func_output(result)
    file = tmp_path / "model.so"
    tvm.compile(builder.get(), tvm.target.Target("llvm")).export_library(str(file))
    return CallableModel(file, gpu=False, threads=1)


def test_a_tensor_is_read_once_torchs_stream_has_computed_it(
    model: CallableModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = torch.zeros(SHAPE)
    stream = Stream(plain)
    monkeypatch.setattr(torch.cuda, "current_stream", stream.of)
    (output,) = model([plain.as_subclass(OnGpu)])
    np.testing.assert_array_equal(output.numpy(), np.full(SHAPE, 6.0, "float32"))
    assert stream.devices == [plain.device]
    (output,) = model([plain])
    assert len(stream.devices) == 1
