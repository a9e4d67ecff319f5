"""A stranger's Ray on the same machine is not joined unasked."""

from tests.ray.test_nodes import program


def test_a_strangers_ray_is_left_alone() -> None:
    done = program("tests/ray/stranger.py")
    assert (done.returncode, done.stdout.splitlines()[-1:]) == (0, ["left alone"]), done.stderr
