"""Tunes models in memory in one process, as a user's script does, and calls the result.

``python -m tests.whole.in_memory OUT`` prints one line of JSON with what came of it, and with
``several`` after that, what came of several models.
"""

import asyncio
import json
import pickle
import sys
import threading
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

import chameleon_ray as cr

SERIAL = {"engine": "serial", "explorer": "random", "quiet": True, "compare": ()}
THREADS, CALLS = 8, 200


class Net(torch.nn.Module):
    """A convolution, a product of two inputs, and a constant."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = torch.nn.Conv2d(3, 8, 3, padding=1)
        self.register_buffer("steps", torch.arange(4.0))

    def forward(self, image: torch.Tensor, scale: torch.Tensor) -> tuple[torch.Tensor, ...]:
        features = torch.relu(self.convolution(image))
        return features * scale, features.mean((2, 3)), self.steps


def main(out: Path) -> dict[str, Any]:
    torch.manual_seed(0)
    net = Net().train()
    net.convolution.eval()
    inputs = (torch.rand(1, 3, 16, 16), torch.rand(1))
    tuned = asyncio.run(in_a_cell(net, inputs, out / "run"))
    assert net.training, "the module is left as it was"
    assert not net.convolution.training, "so are its parts"
    return {
        "verified": tuned.verified,
        "inputs": [str(one) for one in tuned.inputs],
        "layers": tuned.layers.num_rows,
        "records": cr.records(tuned.folder).num_rows,
        "html": tuned._repr_html_(),
        "error": differs(net, cr.load(tuned.save(out / "saved")), inputs),
        "threads": by_threads(net, tuned),
        "as it comes": as_it_comes(net, pickle.loads(pickle.dumps(tuned)), inputs),
        "by TVM": [
            by_tvm(net, inputs, cr.relax_pass(tuned.folder)),
            by_tvm(net, inputs, cr.relax_pass(store=str(out / "store"))),
        ],
        "strided": differs(net, tuned, (torch.rand(1, 16, 16, 3).permute(0, 3, 1, 2), inputs[1])),
    }


class Random(torch.nn.Module):
    """Nothing that can be tuned."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image * torch.rand(3)


def several(out: Path) -> dict[str, Any]:
    """Tunes two models together, of which one cannot be imported, and weighs the other."""
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU(), torch.nn.Conv2d(8, 8, 3))
    image = torch.rand(1, 3, 16, 16)
    models = {"net": (net, (image,)), "random": (Random(), torch.rand(3))}
    weights = {"net": 2}
    with warnings.catch_warnings(record=True) as told:
        tuned = cr.zoo(models, weights=weights, trials=4, out=out / "zoo", **SERIAL)
    refused = []
    for wrong in ({"weights": {"other": 1}}, {"inputs": ["image:1x3x8x8"]}):
        try:
            cr.zoo(models, out=out / "none", **wrong)
        except cr.UserError as error:
            refused.append(str(error))
    with torch.no_grad():
        error = float((tuned["net"](image) - net(image)).abs().max())
    return {
        "tuned": list(tuned),
        "error": error,
        "told": [str(one.message) for one in told if issubclass(one.category, UserWarning)],
        "refused": refused,
        "peaks": {name: one.peak for name, one in cr.memory(net, (image,)).stages.items()},
    }


async def in_a_cell(net: Net, inputs: tuple[torch.Tensor, ...], out: Path) -> cr.TunedModel:
    """Tunes where an event loop runs already, as in a notebook's cell."""
    return cr.tune(net, inputs, trials=4, out=out, store=str(out.parent / "store"), **SERIAL)


def by_tvm(
    net: Net, inputs: tuple[torch.Tensor, ...], tuned: Any
) -> tuple[float, list[str], list[str]]:
    """Compiles a module of TVM's importer with a pass of winners.

    Returns:
        The largest error, and the names of the layers that have a tuned schedule, and of all.
    """
    import tvm
    from tvm import relax
    from tvm.relax.frontend.torch import from_exported_program

    with torch.no_grad():
        expected = net(*inputs)
        module = tuned(from_exported_program(torch.export.export(net, inputs)))
    loops = {v.name_hint: f for v, f in module.functions.items() if v.name_hint != "main"}
    scheduled = [name for name, f in loops.items() if "tirx.is_scheduled" in (f.attrs or {})]
    machine = relax.VirtualMachine(tvm.compile(module, tvm.target.Target("llvm")), tvm.cpu())
    outputs = machine["main"](*(tvm.runtime.tensor(one.numpy()) for one in inputs))
    errors = [np.abs(a.numpy() - b.numpy()).max() for a, b in zip(outputs, expected, strict=True)]
    return float(max(errors)), sorted(scheduled), sorted(loops)


def differs(net: torch.nn.Module, tuned: cr.TunedModel, inputs: tuple[torch.Tensor, ...]) -> float:
    """Largest error of torch's and NumPy's arrays in and out, of inputs in order and by name."""
    with torch.no_grad():
        expected = net(*inputs)
    by_torch = tuned(*inputs)
    by_numpy = tuned(scale=inputs[1].numpy(), image=inputs[0].numpy())
    assert all(isinstance(one, torch.Tensor) for one in by_torch)
    assert all(isinstance(one, np.ndarray) for one in by_numpy)
    for outputs in (tuned(*inputs), tuned(*map(np.asarray, inputs))):
        outputs[-1][...] = -1  # a user's, who then has the model's constants as they were
    pairs = [*zip(by_torch, expected, strict=True), *zip(by_numpy, expected, strict=True)]
    return max(float(np.abs(np.asarray(a) - b.numpy()).max()) for a, b in pairs)


def as_it_comes(
    net: torch.nn.Module, tuned: cr.TunedModel, inputs: tuple[torch.Tensor, ...]
) -> float:
    """Largest error of arrays that are read-only, misaligned, or views that torch resolves."""
    with torch.no_grad():
        expected = net(*inputs)[0].numpy()
    image = inputs[0].numpy()
    fixed = image.copy()
    fixed.flags.writeable = False
    shifted = np.empty(image.nbytes + 68, np.uint8)[4:][: image.nbytes].view(np.float32)
    shifted = shifted.reshape(image.shape)
    shifted[...] = image
    negative = torch.complex(torch.zeros_like(inputs[0]), -inputs[0]).conj().imag
    assert negative.is_neg()
    found = [tuned(one, inputs[1])[0] for one in (fixed, shifted, negative, inputs[0].tolist())]
    return max(float(np.abs(np.asarray(one) - expected).max()) for one in found)


def by_threads(net: torch.nn.Module, tuned: cr.TunedModel) -> int:
    """Wrong outputs of many threads that call one model at a time, each with inputs of its own."""
    wrong = []

    def call(number: int) -> None:
        own = torch.Generator().manual_seed(number)
        inputs = torch.rand(1, 3, 16, 16, generator=own), torch.rand(1, generator=own)
        with torch.no_grad():
            expected = net(*inputs)
        for _ in range(CALLS):
            pairs = zip(tuned(*inputs), expected, strict=True)
            wrong.extend(number for a, b in pairs if not torch.allclose(a, b, atol=1e-5))

    threads = [threading.Thread(target=call, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(wrong)


if __name__ == "__main__":
    print(json.dumps((several if "several" in sys.argv else main)(Path(sys.argv[1]))))
