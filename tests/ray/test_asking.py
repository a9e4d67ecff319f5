"""Asking nodes: an answer of each, or its silence, and never an error."""

import os
import time
from dataclasses import replace

import pytest

from chameleon_ray.cluster.asking import Silent, asked
from chameleon_ray.cluster.placement import nodes
from chameleon_ray.cluster.ray_session import SessionError, everywhere

pytestmark = pytest.mark.usefixtures("local_ray")


def process() -> int:
    return os.getpid()


def refuses() -> None:
    raise ValueError("no such device")


def test_every_node_answers_and_no_core_is_waited_for() -> None:
    (answer,) = everywhere(process)
    assert isinstance(answer, int)
    assert answer != os.getpid()
    assert asked(process, []) == {}


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        (refuses, "no such device"),
        (lambda: time.sleep(20), "none came within 2 s"),
        (lambda: os._exit(1), "died"),
    ],
)
def test_who_cannot_answer_is_silent(question, reason) -> None:
    (answer,) = asked(question, nodes(), 2 if "within" in reason else 60).values()
    assert isinstance(answer, Silent)
    assert reason in answer.reason


def test_a_node_that_is_lost_before_it_answers_is_left_out() -> None:
    (here,) = nodes()
    lost = replace(here, id="ab" * (len(here.id) // 2), here=False)
    assert list(asked(process, [here, lost])) == [here]


def test_a_silent_node_is_one_sentence_where_all_have_to_answer() -> None:
    with pytest.raises(SessionError, match=r"^Node 127\.0\.0\.1 gave no answer: .*no such device"):
        everywhere(refuses)
