"""The split of the machine's cores into those that search and those that time."""

import pytest

from chameleon_ray.errors import UserError
from chameleon_ray.measure import cores


@pytest.mark.parametrize(
    ("every", "threads", "searching", "timing"),
    [
        ((0, 1), None, (0,), (1,)),
        ((0, 1, 2, 3), None, (0, 1), (2, 3)),
        ((0, 1, 2, 3), 3, (0,), (1, 2, 3)),
        ((4, 9, 2), None, (4, 9), (2,)),
        ((5,), None, (5,), (5,)),
        ((0, 1), 2, (0, 1), (0, 1)),
    ],
)
def test_split(every, threads, searching, timing):
    assert cores.split(every, threads) == (searching, timing)


@pytest.mark.parametrize(
    ("count", "threads", "gpus", "timing"),
    [
        (64, None, 4, 4),
        (8, None, 8, 4),
        (8, None, 0, 1),
        (3, None, 2, 1),
        (1, None, 4, 1),
        (64, 12, 4, 12),
        (64, None, None, 32),
    ],
)
def test_a_gpu_keeps_a_core_and_the_rest_build(count, threads, gpus, timing):
    searching, kept = cores.split(tuple(range(count)), threads, gpus)
    assert len(kept) == timing == cores.kept(count, threads, gpus)
    assert set(searching) | set(kept) == set(range(count))
    assert count == 1 or not set(searching) & set(kept)


@pytest.mark.parametrize(("every", "threads"), [((0, 1), 3), ((0, 1), 0), ((3,), 2)])
def test_more_than_can_be_had_is_refused(every, threads):
    with pytest.raises(UserError, match=f"--threads {threads}"):
        cores.split(every, threads)


def test_all_are_the_cores_of_this_process():
    assert cores.threads("all") == len(cores.available())
    assert cores.threads("3") == 3
    with pytest.raises(ValueError, match="invalid literal"):
        cores.threads("most")


def test_hyper_threads_stay_together_and_the_quota_holds(tmp_path, monkeypatch):
    for core, siblings in enumerate(("0,2", "1,3", "0,2", "1,3")):
        folder = tmp_path / f"cpu{core}" / "topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text(siblings)
    monkeypatch.setattr(cores, "CPU", tmp_path)
    monkeypatch.setattr(cores.os, "sched_getaffinity", lambda _: {0, 1, 2, 3})
    monkeypatch.setattr(cores, "OWN", tmp_path / "cgroup")
    monkeypatch.setattr(cores, "GROUPS", tmp_path / "groups")
    assert cores.available() == (0, 2, 1, 3)  # it is not known
    (tmp_path / "cgroup").write_text("5:memory:/other\n0::/slice/job\n")
    inner = tmp_path / "groups" / "slice" / "job"
    inner.mkdir(parents=True)
    (inner / "cpu.max").write_text("max 100000")
    assert cores.available() == (0, 2, 1, 3)
    (inner / "cpu.max").write_text("250000 100000")
    assert cores.available() == (0, 2)
    (tmp_path / "groups" / "cpu.max").write_text("150000 100000")  # of a group above it
    assert cores.available() == (0,)
    (inner / "cpu.max").write_text("50000 100000")
    assert cores.available() == (0,)


def test_a_quota_of_the_first_version_holds(tmp_path, monkeypatch):
    monkeypatch.setattr(cores.os, "sched_getaffinity", lambda _: {0, 1, 2, 3})
    monkeypatch.setattr(cores, "OWN", tmp_path / "cgroup")
    monkeypatch.setattr(cores, "GROUPS", tmp_path)
    (tmp_path / "cgroup").write_text("2:cpu,cpuacct:/job\n1:name=systemd:/\n0::/\n")
    group = tmp_path / "cpu,cpuacct" / "job"
    group.mkdir(parents=True)
    (group / "cpu.cfs_period_us").write_text("50000")
    (group / "cpu.cfs_quota_us").write_text("-1")
    assert len(cores.available()) == 4
    (group / "cpu.cfs_quota_us").write_text("160000")
    assert len(cores.available()) == 3


@pytest.mark.parametrize(
    ("threads", "instances", "timing"),
    [(None, 2, (2, 3)), (2, 2, (0, 1, 2, 3)), (1, 3, (1, 2, 3)), (None, 1, (2, 3))],
)
def test_copies_have_cores_of_their_own(threads, instances, timing):
    assert cores.split((0, 1, 2, 3), threads, instances=instances)[1] == timing


def test_more_copies_than_cores_are_refused():
    with pytest.raises(UserError, match="--instances 3 take 6 cores, and this machine has 4 cores"):
        cores.split((0, 1, 2, 3), 2, instances=3)
