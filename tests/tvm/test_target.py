"""Targets: what is completed, and what is refused in which words."""

import json

import pytest
import tvm

from chameleon_ray.compiler.target import TargetError, device_name, resolve


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
        ("", "kind '' cannot be timed here; use one of: llvm"),
        ("cuda", "kind 'cuda' cannot be timed here"),
        ("llvm -mcpu=skylake", "kind 'llvm -mcpu=skylake' cannot be timed here"),
        ('{"kind": "cuda", "arch": "sm_90"}', "kind 'cuda' cannot be timed here"),
        ('{"kind": "no_such"}', "kind 'no_such' cannot be timed here"),
        ('{"mcpu": "skylake"}', "kind None cannot be timed here"),
        ('{"kind": "llvm"', "is not JSON .*give llvm or a target such as"),
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


def test_the_device_has_a_name_and_its_cores() -> None:
    assert device_name(1).endswith(", 1 core")
    assert device_name(2).endswith(", 2 cores")
    assert device_name(1) != ", 1 core"
