"""Two runs compared by layer."""

from math import inf

from chameleon_ray.report.difference import Change, changes, columns, versions

BEFORE = {
    "layers": {"a": "one", "b": "two", "c": "three"},
    "spaces": {"a": "1", "b": "1", "c": "1"},
    "device": "cpu",
    "versions": {"tvm": "1"},
}
AFTER = BEFORE | {
    "layers": {"a": "one", "b": "two", "d": "four"},
    "spaces": {"a": "1", "b": "2", "d": "1"},
    "versions": {"tvm": "2"},
}


def test_layers_are_compared_and_changes_named() -> None:
    before = {"a": ((1,), 2.0), "b": ((1,), 1.0), "c": ((1,), 1.0)}
    after = {"a": ((2,), 1.0), "b": ((1,), 1.0), "d": ((1,), 1.0)}
    assert changes((BEFORE, AFTER), (before, after)) == [
        Change("one", (2.0, 1.0), ("configuration",)),
        Change("two", (1.0, 1.0), ("space",)),
        Change("three", (1.0, inf), ("not in this run",)),
        Change("four", (inf, 1.0), ("not in the first run",)),
    ]


def test_the_lowerings_of_a_layer_are_one_row() -> None:
    run = BEFORE | {"lowerings": {"b": "a"}}
    before, after = {"a": ((1,), 2.0)}, {"b": ((2,), 1.0)}
    assert changes((run, run), (before, after)) == [
        Change("one", (2.0, 1.0), ("lowering",)),
        Change("three", (inf, inf), ("",)),
    ]
    assert changes((BEFORE, run), (before, before))[0] == Change("one", (2.0, 2.0), ("",))


def test_several_runs_are_compared_with_the_first() -> None:
    winners = {"a": ((1,), 2.0)}, {"a": ((2,), 1.0)}, {"a": ((1,), 4.0), "d": ((1,), 1.0)}
    rows = changes((BEFORE, BEFORE, AFTER), winners)
    assert rows[0] == Change("one", (2.0, 1.0, 4.0), ("configuration", ""))
    assert rows[0].ratio == 0.5
    assert rows[-1] == Change("four", (inf, inf, 1.0), ("", "not in the first run"))
    titles = [column.title for column in columns(("x", "y", "z"))]
    assert titles == ["layer", "x ms", "y ms", "z ms", "faster", "changed in y", "changed in z"]


def test_equal_runs_have_no_changes() -> None:
    winners = {"a": ((1,), 2.0)}
    assert {row.changed for row in changes((BEFORE, BEFORE), (winners, winners))} == {("",)}
    assert versions(BEFORE, BEFORE) == []


def test_versions_that_differ_are_told() -> None:
    assert versions(BEFORE, AFTER) == ["tvm: 1 -> 2"]
