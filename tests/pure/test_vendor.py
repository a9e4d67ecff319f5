"""Kernels of a vendor's libraries as configurations: what is proposed, who is offered, who won."""

import asyncio
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from chameleon_ray.compiler.kinds import CUDA
from chameleon_ray.measure.calibrated import Surveyed
from chameleon_ray.measure.measurer import Measurer
from chameleon_ray.options import Confirming, Search
from chameleon_ray.record import DEFAULT, Status
from chameleon_ray.report.console import final_message
from chameleon_ray.report.html import render
from chameleon_ray.report.layer_result import LayerOutcome
from chameleon_ray.report.layer_table import layer_table
from chameleon_ray.report.loading import snippet
from chameleon_ray.report.progress import Progress
from chameleon_ray.report.summary import summary
from chameleon_ray.search.system import SearchSystem
from chameleon_ray.space import Config
from chameleon_ray.transfer import Transfer
from chameleon_ray.tuner import Tuner
from chameleon_ray.vendor import (
    LIBRARIES,
    is_searched,
    libraries_used,
    library_of,
    values_of,
    vendor_config,
)
from chameleon_ray.winners import choose
from tests.pure import toys
from tests.pure.engine_checks import local, searching
from tests.pure.fake_result import fake_result
from tests.pure.test_database import record
from tests.pure.test_device_group import group, model

RANDOM = Search(vendor_plan=2, vendor_algorithms=5)


def test_a_vendor_s_configuration_is_told_from_all_others() -> None:
    for library in LIBRARIES:
        config = vendor_config(library, 3)
        assert library_of(config) == library
        assert values_of(config) == {"library": library, "algorithm": 3}
        assert not is_searched(config)
    assert library_of(DEFAULT) == library_of((0, 3)) == ""
    assert values_of(DEFAULT) == {}
    assert not is_searched(DEFAULT)
    assert is_searched((0, 3))
    used = [vendor_config("cuDNN", 1), (0, 1), DEFAULT, vendor_config("cuDNN", 0)]
    assert libraries_used(used) == ("cuDNN",)


def tuner(*libraries: str, transfer: Transfer | None = None) -> Tuner:
    system: SearchSystem = searching(local, separate=False)
    made = Tuner(toys.task("sketched-a"), system, RANDOM, 0, transfer)
    made.libraries = libraries
    return made


def proposed(one: Tuner, library: str) -> list[int]:
    """The algorithms of a library in the tuner's next plan."""
    batch = asyncio.run(one.propose())
    return [config[2] for config in batch if library_of(config) == library]


def answered(one: Tuner, library: str, algorithms: list[int], ran: bool) -> None:
    status, latencies = (Status.OK, (0.5,)) if ran else (Status.INVALID, ())
    one.observe(
        [
            replace(
                record(n, config=vendor_config(library, n), latencies=latencies, status=status),
                task=one.task.digest,
                plan=one.plan - 1,
            )
            for n in algorithms
        ]
    )


def test_algorithms_are_proposed_by_rank_as_long_as_they_run() -> None:
    one = tuner("cuBLASLt", "cuDNN")
    batch = asyncio.run(one.propose())
    assert batch[:5] == [
        DEFAULT,
        *(vendor_config("cuBLASLt", n) for n in (0, 1)),
        *(vendor_config("cuDNN", n) for n in (0, 1)),
    ]
    assert all(is_searched(config) for config in batch[5:])
    answered(one, "cuBLASLt", [0, 1], ran=True)
    answered(one, "cuDNN", [0, 1], ran=False)
    assert proposed(one, "cuBLASLt") == [2, 3]
    assert proposed(one, "cuDNN") == []
    answered(one, "cuBLASLt", [2, 3], ran=True)
    assert proposed(one, "cuBLASLt") == [4]
    answered(one, "cuBLASLt", [4], ran=True)
    assert proposed(one, "cuBLASLt") == []


def test_algorithms_whose_records_were_lost_are_proposed_again() -> None:
    one = tuner("cuBLASLt")
    answered(one, "cuBLASLt", [1, 3], ran=True)
    assert proposed(one, "cuBLASLt") == [0, 2]
    answered(one, "cuBLASLt", [0, 2], ran=True)
    assert proposed(one, "cuBLASLt") == [4]


def test_nothing_is_proposed_where_nothing_is_offered() -> None:
    assert all(not library_of(config) for config in asyncio.run(tuner().propose()))


def test_the_search_learns_nothing_from_them() -> None:
    transfer = Transfer(Search().transfer)  # type: ignore[arg-type]
    one = tuner("cuDNN", transfer=transfer)
    answered(one, "cuDNN", [0, 1], ran=True)
    assert len(one._known().configs) == 0
    assert transfer.lessons(toys.task("sketched-b")) is None
    assert one.best_latency == 0.5


def test_a_vendor_s_kernel_wins_and_wrong_ones_are_named() -> None:
    class Fast(toys.ToyRunner):
        @staticmethod
        def latency(one: object, config: Config) -> float:
            return {DEFAULT: 0.1, vendor_config("cuDNN", 0): 0.01}.get(config, 0.05)

    task, call = toys.task("tiny-a"), vendor_config("cuDNN", 0)
    records = [
        record(n, config=config, latencies=(seconds,))
        for n, (config, seconds) in enumerate({DEFAULT: 0.1, (0, 1): 0.05, call: 0.01}.items())
    ]
    for wrong, expected in (((), call), ((call,), (0, 1))):
        measurer = Measurer(
            local("builder", toys.ToyBuilder), local("runner", lambda wrong=wrong: Fast(wrong))
        )
        winner = asyncio.run(choose(task, records, measurer, Confirming()))
        assert winner.config == expected
        assert winner.wrong == wrong


H100 = Surveyed('{"kind": "cuda", "arch": "sm_90"}', "NVIDIA H100")


@pytest.mark.parametrize(
    ("lacking", "vendor", "expected", "notes"),
    [
        ((), True, LIBRARIES, []),
        ((("cuDNN", "It is missing."),), True, ("cuBLASLt",), ["cuDNN are left out: It is"]),
        (
            tuple((library, "There is no cc.") for library in LIBRARIES),
            *(True, (), ["cuBLASLt and cuDNN are left out: There is no cc."]),
        ),
        ((), False, (), []),
        ((), None, (), []),
        ((("cuDNN", "It is missing."),), False, (), []),
    ],
)
def test_libraries_that_the_runner_lacks_are_left_out(
    lacking: tuple, vendor: bool | None, expected: tuple, notes: list[str]
) -> None:
    """Nothing is tried with ``--no-vendor``, and (None) with ``--memory-aware``."""
    one = model("cuda")
    one.request = replace(one.request, vendor=vendor is not False, memory_aware=vendor is None)
    own, progress = group(replace(H100, lacking=lacking), one), Progress()
    asyncio.run(own.survey(CUDA, progress))
    assert own.libraries == expected
    assert len(progress.notes) == len(notes)
    assert all(part in said for part, said in zip(notes, progress.notes, strict=True))


def test_earlier_records_of_libraries_that_are_left_out_now_do_not_win() -> None:
    task, call = toys.task("tiny-a"), vendor_config("cuDNN", 0)
    records = [
        record(n, config=config, latencies=(seconds,))
        for n, (config, seconds) in enumerate({DEFAULT: 0.1, (0, 1): 0.05, call: 0.01}.items())
    ]
    own = group(H100, model("cuda"))
    own.measurer = Measurer(local("builder", toys.ToyBuilder), local("runner", toys.ToyRunner))
    known = {task.digest: records}
    ((winner,),) = asyncio.run(own.choose([task], known, Confirming(), Progress()))
    assert winner.config == (0, 1)


def test_without_a_compiler_here_nothing_could_be_linked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    own, progress = group(H100, model("cuda")), Progress()
    asyncio.run(own.survey(CUDA, progress))
    assert own.libraries == ()
    (note,) = progress.notes
    assert "There is no C compiler on this machine" in note


def test_the_report_says_whose_kernel_won_and_what_the_model_needs(tmp_path: Path) -> None:
    made = fake_result(tmp_path)
    call, first = vendor_config("cuDNN", 2), made.outcomes[0]
    won = LayerOutcome(first.task, call, 2e-3, 1e-3)
    result = replace(made, outcomes=(won, *made.outcomes[1:]))
    row = result.layers[0]
    assert (row.library, row.kept_default) == ("cuDNN", False)
    assert "cuDNN's kernel" in layer_table([row])
    told = summary(result)
    assert told["needs"] == ["libcudnn.so.9"]
    assert [one["library"] for one in told["tasks"]][:2] == ["cuDNN", None]
    console = Console(file=io.StringIO(), width=500)
    console.print(final_message(result))
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    assert ", 1 won by cuDNN" in shown
    assert "model.so calls cuDNN: where it is loaded, libcudnn.so.9 must be on" in shown
    assert "model.so calls cuDNN: where it is loaded" in render(result)
    assert "model.so calls" not in render(made)
    assert told["timed_with"] == {}
    timed = replace(result, versions={"cuBLASLt": "13.10.0", "cuDNN": "9.28.0"})
    assert summary(timed)["timed_with"] == {"libcudnn.so.9": "9.28.0"}
    assert "model.so calls cuDNN, timed with version 9.28.0: where it is loaded" in render(timed)
    assert "look_in_wheels()" in snippet(result)
    assert "look_in_wheels()" not in snippet(made)
    assert summary(made)["needs"] == []
    assert json.dumps(told["needs"])
