"""How long actors were missing in ``scripts/chaos.py``."""

import sys
from collections import Counter
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "scripts"))

from chaos_roll import Roll

FULL = {"runner": 2, "sampler": 1}


def test_who_is_missing_longest_is_there_again_first() -> None:
    roll = Roll(FULL)
    roll.call(Counter(FULL), 0.0)
    roll.call(Counter(runner=1, sampler=1), 1.0)
    roll.call(Counter(runner=0, sampler=0), 2.0)
    assert roll.absent == 3
    roll.call(Counter(runner=1, sampler=0), 4.0)
    roll.call(Counter(runner=2, sampler=1), 7.0)
    assert roll.absent == 0
    assert roll.gaps == {"actors": [(3.0, "runner"), (5.0, "runner"), (5.0, "sampler")], "more": []}


def test_a_cause_holds_until_all_are_there_again() -> None:
    roll = Roll(FULL, cause="more")
    roll.call(Counter(FULL), 0.0)
    roll.call(Counter(sampler=1), 1.0)
    roll.call(Counter(runner=3, sampler=1), 3.0)  # one more than there should be
    roll.call(Counter(runner=2), 5.0)
    roll.call(Counter(FULL), 6.0)
    assert roll.gaps["more"] == [(2.0, "runner"), (2.0, "runner")]
    assert roll.gaps["actors"] == [(1.0, "sampler")]
