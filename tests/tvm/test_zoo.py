"""The zoo's networks are the published ones, and give outputs that are worth comparing."""

import subprocess
import sys

import pytest
import torch

from chameleon_ray.compiler.frontend import irregular
from chameleon_ray.compiler.frontend.zoo import ZOO, build
from chameleon_ray.compiler.frontend.zoo import inputs as zoo_inputs
from chameleon_ray.graph import swiftnet

PUBLISHED = {
    "resnet-18": 11_689_512,
    "resnet-34": 21_797_672,
    "vgg-16": 138_357_544,
    "alexnet": 61_100_840,
    "mobilenet-v2": 3_504_872,
}
"""Parameters, as torchvision's documentation of each network gives them."""


def test_every_network_is_published() -> None:
    assert ZOO.keys() == PUBLISHED.keys()


@pytest.mark.parametrize("name", ZOO)
def test_parameters_are_the_published_ones(name: str) -> None:
    with torch.device("meta"):
        module = ZOO[name]()
    assert sum(parameter.numel() for parameter in module.parameters()) == PUBLISHED[name]


@pytest.mark.parametrize("name", ["resnet-18", "alexnet", "mobilenet-v2"])
def test_outputs_are_well_conditioned(name: str) -> None:
    images = torch.randn(2, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        first, second = build(name, 0)(images)
    assert 0.1 < first.std() < 100
    assert (first - second).std() > 0.01 * first.std()
    assert len(first) == len(first.unique()) == 1000


@pytest.mark.parametrize("name", [*irregular.NETWORKS, "randwire:3"])
def test_irregular_networks_are_well_conditioned(name: str) -> None:
    shapes = zoo_inputs(name)
    assert shapes is not None
    rng = torch.Generator().manual_seed(0)
    with torch.no_grad():
        output = build(name, 0)(*(torch.randn(shape, generator=rng) for shape in shapes.values()))
    assert 0.1 < output.std() < 1000
    assert torch.isfinite(output).all()


def test_swiftnet_has_the_wiring_s_sizes() -> None:
    for name, cell in swiftnet.CELLS.items():
        shapes = zoo_inputs(f"swiftnet-{name}")
        assert shapes is not None
        output = build(f"swiftnet-{name}", 0)(*map(torch.zeros, shapes.values()))
        assert output.shape == (1, cell.outputs, cell.side, cell.side)


def test_weights_follow_the_seed_alone() -> None:
    before = torch.get_rng_state()
    first, again, other = (build("resnet-18", seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(first[name], again[name]) for name in first)
    weights = [name for name in first if first[name].is_floating_point()]
    assert not any(torch.equal(first[name], other[name]) for name in weights)


def test_batch_norms_are_far_from_the_identity() -> None:
    state = build("resnet-18", 0).state_dict()
    for name in state:
        if name.endswith("running_var"):
            norm = name.removesuffix("running_var")
            assert state[name].std() > 0.1
            assert state[f"{norm}running_mean"].abs().mean() > 0.05
            assert state[f"{norm}weight"].std() > 0.05
            assert state[f"{norm}bias"].abs().mean() > 0.05


def test_names_are_known_without_torch() -> None:
    code = (
        "import sys; import chameleon_ray.compiler.frontend.zoo; sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
