"""Comparison with other frameworks: ratios and layers with known answers, and what it refuses."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"
sys.path.append(str(SCRIPTS))  # the scripts import each other by their bare names

import bench_layers  # noqa: E402
from bench_frameworks import figures  # noqa: E402
from framework_table import means, table  # noqa: E402

from chameleon_ray.measure.frameworks import FrameworkError  # noqa: E402

CPU = {"name": "Some CPU", "mcpu": "znver4", "vectors": "AVX-512"}
TASKS = [
    {"name": "fused_conv2d_add_relu", "shape": "1x8x8x4, 1x3x3x4x16, 1x1x1x16, 1x4x4x16"},
    {"name": "fused_winograd_add_relu", "shape": "1x4x4x16, 6x6x1x16x16, 1x1x1x16, 1x4x4x16"},
    {"name": "fused_conv2d1_add1_relu", "shape": "1x4x4x16, 3x3x16x16, 1x1x1x16, 1x4x4x16"},
    {"name": "mean", "shape": "1x4x4x16, 1x1x1x16"},
    {"name": "fused_matmul_add2", "shape": "1x16, 2x16x5, 1x10, 1x10"},
]


def summary(*milliseconds: float | None) -> list[dict]:
    """``TASKS`` with latencies; the first occurs twice."""
    weights = (2, 1, 1, 1, 1)
    rows = zip(TASKS, weights, milliseconds, strict=True)
    return [{**task, "weight": weight, "best_ms": ms} for task, weight, ms in rows]


def node(name: str, operator: str, microseconds: float, *shapes: list[int]) -> dict:
    """An event of ONNX Runtime's profile; the last shape is the output's."""
    arguments = {
        "op_name": operator,
        "input_type_shape": [{"float": shape} for shape in shapes[:-1]],
        "output_type_shape": [{"float": shapes[-1]}],
    }
    return {"cat": "Node", "name": f"{name}_kernel_time", "dur": microseconds, "args": arguments}


def profile(*factors: float) -> list[dict]:
    """Executions that took these many times as long."""
    events: list[dict] = [{"cat": "Session", "name": "model_run", "dur": 9e9, "args": {}}]
    for factor in factors:
        events += [
            node("r", "ReorderInput", 10 * factor, [1, 4, 8, 8], [1, 4, 8, 8]),
            node("c0", "Conv", 100 * factor, [1, 4, 8, 8], [16, 4, 3, 3], [16], [1, 16, 4, 4]),
            node("c1", "Conv", 200 * factor, [1, 16, 4, 4], [16, 16, 3, 3], [16], [1, 16, 4, 4]),
            node("g", "Gemm", 50 * factor, [1, 16], [10, 16], [10], [1, 10]),
        ]
    return events


def bench(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPTS / "bench_frameworks.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


def test_ratios_are_ours_over_theirs_round_by_round() -> None:
    body = figures({"this engine": [0.002, 0.003, 0.002], "PyTorch eager": [0.004, 0.004, 0.002]})
    assert body["latency_ms"]["this engine"]["median"] == pytest.approx(2.0)
    assert body["ratio"] == {"PyTorch eager": pytest.approx({"median": 0.75, "spread": 0.25})}


def test_table_has_a_dash_for_who_is_missing() -> None:
    body = figures({"this engine": [0.002], "PyTorch eager": [0.004]})
    lines = table([body | {"model": "net", "threads": 1, "cpu": CPU}]).splitlines()
    assert len({line.count("|") for line in lines}) == 1
    assert lines[2].count(" - ") == 8
    assert "0.50 ± 0.00" in lines[2]
    assert "Some CPU (znver4, AVX-512)" in lines[2]


def test_means_are_geometric_and_per_number_of_threads() -> None:
    def body(threads: int, ours: float, **others: float) -> dict:
        names = {"onnx": "ONNX Runtime", "vino": "OpenVINO"}
        times = {"this engine": [ours]} | {names[name]: [t] for name, t in others.items()}
        return figures(times) | {"threads": threads}

    bodies = [
        body(1, 2.0, onnx=4.0, vino=1.0),
        body(1, 8.0, onnx=4.0, vino=8.0),
        body(2, 3.0, vino=4.0),
    ]
    rows = [line.strip("| ").split(" | ") for line in means(bodies).splitlines()]
    assert rows[0][:4] == ["threads", "models", "over ONNX Runtime", "over OpenVINO"]
    assert rows[2] == ["1", "2", "1.00", "1.41", "-", "-", "-", "2.00"]
    assert rows[3] == ["2", "1", "-", "0.75", "-", "-", "-", "0.75"]


def test_layers_are_those_that_compute_the_same() -> None:
    tasks = summary(0.05, 0.1, 0.3, 0.02, 0.025)
    rows = {row["layer"]: row for row in bench_layers.compared(tasks, profile(1.0, 30.0, 2.0))}
    assert list(rows) == ["8x8x4 -> 4x4x16, 3x3", "4x4x16 -> 4x4x16, 3x3", "16 -> 10", *ENDS]
    first, second, dense, rest, total = rows.values()
    assert (first["count"], first["their_count"]) == (2, 1)
    assert (first["ms"], first["their_ms"]) == pytest.approx((0.1, 0.2))
    assert first["ratio"] == pytest.approx(0.5)
    assert (second["count"], second["ms"], second["their_ms"]) == pytest.approx((2, 0.4, 0.4))
    assert (dense["ms"], dense["their_ms"]) == pytest.approx((0.025, 0.1))
    assert (rest["ms"], rest["their_ms"]) == pytest.approx((0.02, 0.02))
    assert (total["ms"], total["their_ms"]) == pytest.approx((0.545, 0.72))
    assert len(bench_layers.table([first]).splitlines()) == 3


ENDS = ("the rest", "sum")


def test_a_layer_of_one_side_only_has_no_ratio() -> None:
    rows = bench_layers.compared(summary(0.05, 0.1, 0.3, None, 0.025), [])
    assert all(row["ratio"] is None and row["their_ms"] in (None, 0.0) for row in rows)
    assert "| - |" in bench_layers.table(rows)


def test_channels_that_are_padded_are_found_again() -> None:
    odd = {"name": "fused_conv2d", "shape": "1x4x4x24, 9x1x1x24x16, 1x4x4x144"}
    even = {"name": "fused_conv2d1", "shape": "1x4x4x32, 9x1x1x32x16, 1x4x4x144"}
    event = node("c", "Conv", 100, [1, 32, 4, 4], [144, 32, 1, 1], [1, 144, 4, 4])
    tasks = [{**odd, "weight": 1, "best_ms": 0.2}]
    assert bench_layers.compared(tasks, [event])[0]["ratio"] == pytest.approx(2.0)
    tasks.append({**even, "weight": 1, "best_ms": 0.3})
    padded, exact = bench_layers.compared(tasks, [event])[:2]
    assert (padded["ratio"], exact["ratio"]) == (None, pytest.approx(3.0))


def test_summaries_without_shapes_are_refused() -> None:
    with pytest.raises(FrameworkError, match="tune the model again"):
        bench_layers.compared([{"name": "mean", "weight": 1, "best_ms": 1.0}], [])


@pytest.mark.parametrize(
    ("model", "target", "sentence"),
    [
        ("net.onnx", '{"kind": "llvm"}', "only classifiers of the zoo"),
        ("resnet-18", '{"kind": "cuda"}', "only CPUs"),
        ("resnet-18", '{"kind": "llvm", "num-cores": 9999}', "9999 cores"),
    ],
)
def test_other_runs_are_refused(model: str, target: str, sentence: str, tmp_path: Path) -> None:
    identity = {"options": {"model": model, "seed": 0}, "target": target}
    identity["inputs"] = [[[1, 3, 8, 8], "float32"]]
    (tmp_path / "run.json").write_text(json.dumps(identity))
    (tmp_path / "summary.json").write_text("{}")
    done = bench(tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: ")
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nowhere"], "nowhere is no finished run"),
        (["nowhere", "--rounds", "0"], "more than 0"),
        (["nowhere", "--json", "nowhere/file.json"], "nowhere/file.json cannot be written"),
        (["nowhere", "--more"], "give it with --json FILE"),
    ],
)
def test_bad_arguments_are_a_sentence(arguments: list[str], sentence: str) -> None:
    done = bench(*arguments)
    assert done.returncode in (1, 2)
    assert sentence in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
