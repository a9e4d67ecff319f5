"""The profile of models ends whatever they call, and gives each its turns."""

from chameleon_ray.compiler.runtime.model_profile import profiled


class Machine:
    """Stands for a virtual machine, which tells an observer of a model's calls."""

    def __init__(self, *names: str) -> None:
        self.names, self.runs = names, 0

    def set_instrument(self, observe) -> None:
        self.observe = observe

    def run(self) -> None:
        self.runs += 1
        for name in self.names:
            for before in (True, False):
                assert self.observe(None, name, before, None) == 0


def profile(*machines: Machine, seconds: float = 0.0) -> list[dict[str, float]]:
    return profiled([(machine, machine.run) for machine in machines], seconds)


def test_a_model_that_calls_nothing_has_no_layers() -> None:
    assert profile(Machine()) == [{}]


def test_each_function_has_its_seconds() -> None:
    machine = Machine("conv", "dense")
    (found,) = profile(machine)
    assert sorted(found) == ["conv", "dense"]
    assert all(seconds >= 0 for seconds in found.values())
    assert machine.runs == 2


def test_models_take_turns() -> None:
    one, other = Machine("conv"), Machine("dense")
    found = profile(one, other, seconds=0.001)
    assert [sorted(each) for each in found] == [["conv"], ["dense"]]
    assert one.runs > 2 < other.runs
