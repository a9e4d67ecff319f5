"""The profile of a model ends whatever the model calls."""

from chameleon_ray.compiler.runtime.model_profile import profiled


class Machine:
    """Stands for a virtual machine, which tells an observer of a model's calls."""

    def set_instrument(self, observe) -> None:
        self.observe = observe

    def call(self, name: str) -> None:
        for before in (True, False):
            assert self.observe(None, name, before, None) == 0


def test_a_model_that_calls_nothing_has_no_layers() -> None:
    assert profiled(Machine(), lambda: None, 0.0) == {}


def test_each_function_has_its_seconds() -> None:
    machine, runs = Machine(), list[None]()

    def run() -> None:
        runs.append(None)
        machine.call("conv")
        machine.call("dense")

    found = profiled(machine, run, 0.0)
    assert sorted(found) == ["conv", "dense"]
    assert all(seconds >= 0 for seconds in found.values())
    assert len(runs) == 2
