"""Cores that a container grants: the quota of the control group, of either version."""

from __future__ import annotations

import os

import pytest

from crewel.run import placement

INFINITE = float("inf")


def files(root, contents):
    for name, text in contents.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    ("contents", "cores"),
    [
        ({}, INFINITE),
        ({"cpu.max": "max 100000\n"}, INFINITE),
        ({"cpu.max": "200000 100000\n"}, 2.0),
        ({"cpu.max": "50000 100000\n"}, 0.5),
        ({"cpu.max": "nonsense\n"}, INFINITE),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, INFINITE),
        ({"cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 3.0),
        ({"cpu/cpu.cfs_quota_us": "300000\n"}, INFINITE),
    ],
)
def test_quota_of_a_control_group(tmp_path, contents, cores):
    assert placement._quota(files(tmp_path, contents)) == cores


@pytest.mark.parametrize(
    ("quota", "affinity", "cores"),
    [(2.0, 64, 2), (INFINITE, 64, 64), (0.5, 64, 1), (2.5, 64, 2), (8.0, 4, 4)],
)
def test_cores_are_whole_and_at_least_one(monkeypatch, quota, affinity, cores):
    monkeypatch.setattr(placement, "_quota", lambda root: quota)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(affinity)), raising=False)
    assert placement.cores() == cores
