"""Targets: what is completed, and what is refused in which words."""

import json

import pytest
import tvm

from chameleon_ray.compiler.kinds import CUDA, LLVM, kind_of, resolve
from chameleon_ray.compiler.target import TargetError, device_name
from chameleon_ray.interface.torch_backend import target_of


def test_llvm_is_this_machine() -> None:
    target = json.loads(resolve("llvm", 3))
    assert target["kind"] == "llvm"
    assert target["num-cores"] == 3
    assert target["mcpu"] == tvm.target.codegen.llvm_get_system_cpu()


def test_what_json_says_goes_first() -> None:
    target = json.loads(resolve('{"kind": "llvm", "num-cores": 7, "mcpu": "generic"}', 3))
    assert target["num-cores"] == 7
    assert target["mcpu"] == "generic"


@pytest.mark.parametrize("text", ["llvm", '{"kind": "llvm", "mattr": ["+sse4.2"]}'])
def test_a_complete_target_stays_as_it_is(text: str) -> None:
    once = resolve(text, 2)
    assert resolve(once, 5) == once
    tvm.target.Target(json.loads(once))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "kind '' cannot be tuned for; use one of: llvm, cuda"),
        ("cuda", "is completed where the GPU is; .* give it as in cuda:sm_90"),
        ("cuda:", "kind 'cuda:' cannot be tuned for"),
        ("cuda:volta", "architecture 'volta' is no GPU's; use one of: sm_70, "),
        ("cuda:sm_42", "architecture 'sm_42' is not known; use one of: sm_70, "),
        ('{"kind": "cuda", "arch": "sm_90", "sm": 1}', "does not accept .*config option 'sm'"),
        ("llvm -mcpu=skylake", "kind 'llvm -mcpu=skylake' cannot be tuned for"),
        ('{"kind": "no_such"}', "kind 'no_such' cannot be tuned for"),
        ('{"mcpu": "skylake"}', "kind None cannot be tuned for"),
        ('{"kind": "llvm"', "is not JSON .*give llvm, cuda, cuda:sm_90 or a target such as"),
        ('{"kind": "llvm", "colour": 1}', "does not accept .*Unknown config option 'colour'"),
        ('{"kind": "llvm", "num-cores": "two"}', "does not accept .*expected type 'int'"),
        ('{"kind": "llvm", "mcpu": "z80"}', "LLVM knows no CPU 'z80'; leave mcpu out"),
        ('{"kind": "llvm", "mtriple": "riscv64-linux"}', "for riscv64-linux cannot be timed"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(TargetError, match=sentence) as raised:
        resolve(text, 1)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("number", [70, 75, 80, 86, 87, 89, 90, 100])
def test_a_gpu_is_known_by_its_architecture(number: int) -> None:
    once = resolve(f"cuda:sm_{number}", 1)
    target = tvm.target.Target(json.loads(once))
    assert target.kind.name == "cuda"
    assert dict(target.attrs) | {
        "arch": f"sm_{number}",
        "max_threads_per_block": 1024,
        "max_shared_memory_per_block": 49152,
        "registers_per_block": 65536,
        "thread_warp_size": 32,
    } == dict(target.attrs)
    assert resolve(once, 5) == once
    assert kind_of(once) is CUDA


def test_what_json_says_of_a_gpu_goes_first() -> None:
    text = '{"kind": "cuda", "arch": "sm_90", "max_shared_memory_per_block": 232448}'
    assert json.loads(resolve(text, 1))["max_shared_memory_per_block"] == 232448
    assert kind_of("llvm") is LLVM
    assert kind_of(resolve("llvm", 1)) is LLVM


def test_the_device_has_a_name_and_its_cores() -> None:
    assert device_name(1).endswith(", 1 core")
    assert device_name(2).endswith(", 2 cores")
    assert device_name(2, 2).endswith(", 2 x 1 core")
    assert device_name(8, 2).endswith(", 2 x 4 cores")
    assert device_name(1) != ", 1 core"


def test_the_cache_of_graphs_tells_cpus_apart() -> None:
    here = target_of({"threads": 1})
    assert json.loads(here)["mcpu"] == tvm.target.codegen.llvm_get_system_cpu()
    assert target_of({"threads": 1, "minutes": 2}) == here
    texts = [json.dumps({"kind": "llvm", "mcpu": mcpu}) for mcpu in ("haswell", "znver4")]
    one, other = (target_of({"threads": 1, "target": text}) for text in texts)
    assert one != other
