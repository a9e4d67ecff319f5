"""Facts from binaries: instructions are counted by name, and tables say what was not compiled."""

import sys
from collections import Counter
from pathlib import Path

import pytest

from chameleon_ray.compiler.codegen.cuda_resources import Resources
from chameleon_ray.errors import UserError

sys.path.append(str(Path(__file__).parents[2] / "scripts"))  # where they find each other by name

import measure_binaries
from measure_binaries import Kernel, instructions, nvdisasm, row

DISASSEMBLY = """\
	.target	sm_90
//--------------------- .text.main_kernel         --------------------------
main_kernel:
.text.main_kernel:
        /*0000*/                   LDC R1, c[0x0][0x28] ;
        /*0250*/                   LDGSTS.E.BYPASS.128 [R13], desc[UR6][R6.64] ;
        /*0280*/              @!P0 LDGSTS.E.BYPASS.128 [R13+0x1400], desc[UR6][R4.64] ;
        /*02b0*/                   LDGDEPBAR ;
        /*02c0*/                   HMMA.16816.F32 R4, R8, R2, R4 ;
        /*02d0*/             @!UP0 UIADD3 UR4, UR5, 0x1, URZ ;
.L_x_1:
        /*10010*/                  EXIT ;
"""
TAKEN = Resources(1, 128, 96, 8, 0, 2048, 0.5)


def test_instructions_are_counted_by_name() -> None:
    assert instructions(DISASSEMBLY) == Counter(
        {"LDC": 1, "LDGSTS": 2, "LDGDEPBAR": 1, "HMMA": 1, "UIADD3": 1, "EXIT": 1}
    )


def test_a_row_has_shares_of_what_compiled_and_medians() -> None:
    both = Kernel.of(instructions(DISASSEMBLY), TAKEN)
    neither = Kernel.of(Counter({"FFMA": 9}), TAKEN)
    assert (both.tensor, both.asynchronous) == (True, True)
    cells = row("a layer", "sm_90", "this project", [both, neither, neither, neither, None])
    assert cells == (
        "| a layer | sm_90 | this project | 4 of 5 | 25% | 25% | 96 ± 0 | 8 ± 0 | 2 ± 0 | 0.5 ± 0 |"
    )
    assert row("a layer", "sm_90", "MetaSchedule", [None]).endswith(
        "| 0 of 1 | - | - | - | - | - | - |"
    )


def test_without_a_disassembler_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(measure_binaries, "nvidia_wheels", lambda: [])
    for variable in ("PATH", "CUDA_PATH"):
        monkeypatch.setenv(variable, str(tmp_path))
    with pytest.raises(UserError, match="pip install nvidia-cuda-nvdisasm"):
        nvdisasm()
    program = tmp_path / "nvdisasm"
    program.write_text("")
    program.chmod(0o755)
    assert nvdisasm() == str(program)
