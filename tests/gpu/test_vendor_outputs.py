"""Outputs of the vendor's functions, by stand-ins, beside NumPy's; on memory of the host."""

from typing import Any

import numpy as np
import pytest
import tvm

from chameleon_ray.compiler.codegen import vendor_glue
from chameleon_ray.compiler.codegen.cuda_library import Library, load
from chameleon_ray.compiler.codegen.vendor_call import called, compile_call
from chameleon_ray.compiler.spaces.vendor.calls import calls
from chameleon_ray.vendor import vendor_config
from tests.gpu.vendor.build import standins
from tests.gpu.vendor.layers import Layer, convolution, product

HOST = tvm.target.Target("llvm")
BOTH = ["cuBLASLt", "cuDNN"]
ERRORS = {"float32": 1e-6, "tf32": 2e-3, "float16": 1e-3, "bfloat16": 8e-3}


@pytest.fixture(autouse=True)
def libraries(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.setenv("CHAMELEON_VENDOR_PATH", str(standins()))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp()))
    assert vendor_glue.troubles() == {}


def computed(
    layer: Layer, library: str, algorithm: int = 0, scale: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """The outputs of a library and of NumPy, where inputs are so many times as large."""
    module = called(layer.module, vendor_config(library, algorithm))
    artifact = compile_call(module, HOST)
    (shape, dtype), inputs = layer.output, [a * np.asarray(scale, a.dtype) for a in layer.inputs()]
    buffers = [tvm.runtime.tensor(a) for a in (*inputs, np.full(shape, np.nan, dtype))]
    load(Library.loads(artifact.code))["main"](*buffers)
    return buffers[-1].numpy().astype("f8"), layer.reference(inputs)


CONVOLUTIONS: dict[str, dict[str, Any]] = {
    "float32 in NCHW": {},
    "no epilogue": {"bias": False, "activation": "none"},
    "residual": {"residual": True},
    "no bias": {"bias": False, "residual": True},
    "strides": {"stride": 2},
    "dilation": {"dilation": 2, "padding": (2, 2, 2, 2)},
    "other padding on every side": {"padding": (0, 1, 2, 3)},
    "no padding": {"padding": (0, 0, 0, 0), "kernel": 2},
    "exact GELU": {"activation": "gelu"},
    "approximate GELU": {"activation": "gelu_tanh"},
    "SiLU": {"activation": "silu"},
    "tanh": {"activation": "tanh"},
    "sigmoid": {"activation": "sigmoid"},
    "one image, one channel": {"size": (1, 1, 5), "outputs": 1, "residual": True},
    "float16": {"dtype": "float16", "last": True, "residual": True},
    "bfloat16": {"dtype": "bfloat16", "last": True, "residual": True},
    "float16 of pixels": {
        **{"dtype": "float16", "last": True, "kernel": 1, "padding": (0, 0, 0, 0)},
        "bias": False,
    },
    "TF32": {"last": True, "tf32": True},
}


@pytest.mark.parametrize("case", CONVOLUTIONS)
def test_convolutions(case: str) -> None:
    layer = convolution(**CONVOLUTIONS[case])
    precision = "tf32" if case == "TF32" else layer.output[1]
    assert "cuDNN" in calls(layer.module)
    for library in calls(layer.module):
        found, expected = computed(layer, library)
        assert np.abs(found - expected).max() <= ERRORS[precision] * np.abs(expected).max()


def test_pixels_are_rows_of_a_product() -> None:
    half = {"dtype": "float16", "last": True, "kernel": 1, "padding": (0, 0, 0, 0)}
    assert list(calls(convolution(**half, bias=False).module)) == ["cuDNN", "cuBLASLt"]
    assert list(calls(convolution(**half).module)) == ["cuDNN"]  # a bias of float32
    assert list(calls(convolution(**half, bias=False, stride=2).module)) == ["cuDNN"]


PRODUCTS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "float32": ({}, BOTH[:1]),
    "columns first": ({"turned": True}, BOTH),
    "one row": ({"rows": 1, "bias": "float32", "residual": True}, BOTH[:1]),
    "a batch with one matrix": ({"batch": (3,), "bias": "float32"}, BOTH[:1]),
    "a batch, columns first": ({"batch": (2, 3), "turned": True, "activation": "relu"}, BOTH),
    "a batch of matrices": ({"batch": (2, 3), "shared": False}, BOTH[:1]),
    "turned ones": ({"batch": (2, 3), "shared": False, "turned": True}, BOTH[:1]),
    "residual": ({"bias": "float32", "residual": True, "activation": "relu"}, BOTH[:1]),
    "approximate GELU": ({"bias": "float32", "activation": "gelu_tanh"}, BOTH[:1]),
    "float16": ({"dtype": "float16", "bias": "float16", "activation": "relu"}, BOTH[:1]),
    "bfloat16": ({"dtype": "bfloat16", "turned": True, "residual": True}, BOTH),
    "a long bias": ({"dtype": "float16", "turned": True, "bias": "float32"}, BOTH[1:]),
    "sums in float32": ({"dtype": "float16", "output": "float32"}, BOTH[:1]),
    "TF32": ({"tf32": True, "turned": True}, BOTH),
    "a scale": ({"batch": (2,), "shared": False, "turned": True, "divisor": 4.0}, BOTH[:1]),
    "a scale, then more": ({"bias": "float32", "divisor": 4.0}, []),
}


@pytest.mark.parametrize("case", PRODUCTS)
def test_products(case: str) -> None:
    options, libraries = PRODUCTS[case]
    layer = product(**options)
    precision = "tf32" if case == "TF32" else options.get("dtype", "float32")
    assert sorted(calls(layer.module)) == libraries
    for library in libraries:
        found, expected = computed(layer, library)
        assert np.abs(found - expected).max() <= ERRORS[precision] * np.abs(expected).max()


def test_a_rank_beyond_the_algorithms_is_told() -> None:
    with pytest.raises(vendor_glue.VendorUnavailable, match="cuBLASLt has 2 algorithms"):
        computed(product(), "cuBLASLt", 2)
    assert computed(convolution(), "cuDNN", 1)
    with pytest.raises(vendor_glue.VendorUnavailable, match="cuDNN has 2 algorithms"):
        computed(convolution(), "cuDNN", 2)  # every second one is of tensor cores
    half = convolution("float16", True)
    assert computed(half, "cuDNN", 2)
    with pytest.raises(vendor_glue.VendorUnavailable, match="cuDNN has 3 algorithms"):
        computed(half, "cuDNN", 3)  # one of four sums in less than float32


def test_an_algorithm_that_the_gpu_cannot_run_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VENDOR_REFUSES", "1")
    why = "cuDNN's algorithm 0 does not run on this GPU: CUDNN_STATUS_NOT_SUPPORTED"
    with pytest.raises(vendor_glue.VendorUnavailable, match=why):
        computed(convolution(outputs=20), "cuDNN")


def test_relu6_ends_at_6() -> None:
    """Without scaling no sum is more than that."""
    found, expected = computed(convolution(activation="relu6"), "cuDNN", scale=3.0)
    assert (found.min(), found.max()) == (0, 6)
    assert np.abs(found - expected).max() <= ERRORS["float32"] * 6


def test_an_activation_that_no_library_has_is_no_other_one() -> None:
    assert calls(convolution(activation="leakyrelu").module) == {}


def test_other_layers_have_no_call() -> None:
    from tests.tvm import layers

    assert calls(layers.softmax()) == {}
