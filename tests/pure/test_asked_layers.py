"""``--only``: layers are found by name, digest or pattern, and what is no layer is a sentence."""

from dataclasses import replace

import pytest

from chameleon_ray.api.asked_layers import left_out, told
from chameleon_ray.errors import UserError
from chameleon_ray.space import DesignSpace
from chameleon_ray.winners import LEFT_OUT
from tests.pure import toys

TASKS = [toys.task(name) for name in ("convolution-1", "convolution-2", "tiny-a")]
OTHER = replace(toys.task("sketched-1"), instead=TASKS[0].digest)
"""Another lowering of the first layer."""


def asked(*only: str) -> set[str]:
    tasks = [*TASKS, OTHER]
    return {task.name for task in tasks} - {
        next(task.name for task in tasks if task.digest == digest)
        for digest in left_out(only, tasks)
    }


@pytest.mark.parametrize(
    ("only", "names"),
    [
        (("tiny-a",), {"tiny-a"}),
        (("convolution-2", "tiny-a"), {"convolution-2", "tiny-a"}),
        (("conv*",), {"convolution-1", "convolution-2", "sketched-1"}),
        (("*-[2a]",), {"convolution-2", "tiny-a"}),
        ((TASKS[1].digest,), {"convolution-2"}),
        (("sketched-1",), {"convolution-1", "sketched-1"}),
        ((), {"convolution-1", "convolution-2", "tiny-a", "sketched-1"}),
    ],
)
def test_layers_are_asked_for_with_all_their_lowerings(
    only: tuple[str, ...], names: set[str]
) -> None:
    assert asked(*only) == names


def test_a_name_that_is_no_pattern_counts_first() -> None:
    odd = replace(TASKS[0], name="a[b]", digest="0" * 16)
    plain = replace(TASKS[0], name="ab", digest="1" * 16)
    assert left_out(["a[b]"], [odd, plain]) == {plain.digest: LEFT_OUT}
    assert left_out(["a[bc]"], [odd, plain]) == {odd.digest: LEFT_OUT}


@pytest.mark.parametrize(
    "text", ["layer1.conv1", "layer2.conv1", "layer1.conv1 +1", "*.conv1", "conv 1x1 @8x8"]
)
def test_a_layer_has_all_names_of_its_occurrences_and_those_that_are_shown(text: str) -> None:
    nodes = ("layer1.conv1", "layer2.conv1")
    first = replace(TASKS[0], nodes=nodes, what="conv 1x1 @8x8")
    second = replace(TASKS[1], nodes=("", "fc"), what="dense")
    names = [text, f"layer1.conv1 (+1 more) · {text}"]
    name = names[text.startswith("conv 1x1")]
    assert left_out([name], [first, second]) == {second.digest: LEFT_OUT}
    with pytest.raises(UserError, match=r"its layers are layer1\.conv1, fc\."):
        left_out([""], [first, second])


def test_what_is_no_layer_is_a_sentence_that_tells_which_there_are() -> None:
    with pytest.raises(UserError) as error:
        left_out(["tiny-a", "conv-3"], TASKS)
    assert str(error.value) == (
        "The model has no layer 'conv-3' to tune; "
        "its layers are convolution-1, convolution-2, tiny-a."
    )
    nothing = replace(TASKS[0], space=DesignSpace(()))
    with pytest.raises(UserError, match="nothing in it can be tuned"):
        left_out([TASKS[0].name], [nothing])
    many = [replace(TASKS[0], name=f"layer{n}", digest=f"{n:016x}") for n in range(60)]
    with pytest.raises(UserError, match=r"its layers are layer5, .* and 20 more") as error:
        left_out(["layr5"], many)
    assert str(error.value).count(", layer") == 39


def test_how_many_are_asked_for_is_told() -> None:
    assert told(["conv*"], [*TASKS, OTHER]) == (
        "--only: 2 of 3 layers to tune; the others keep what is known of them, or the default "
        "schedule."
    )
