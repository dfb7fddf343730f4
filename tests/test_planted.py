"""The faults that the study `instrument` plants besides slow-downs are found, and what is right is not blamed."""

from __future__ import annotations

import psutil

from tests.planted.checks import other_faults
from tests.planted.load import busy


def test_each_planted_fault_is_found() -> None:
    found = {(row["fact"], row["item"]): float(row["value"]) for row in other_faults()}
    assert found["drift", "in rounds"] < 0.01 < 0.05 < found["drift", "one after the other"]
    assert found["fake_device", "not synchronised"] < 1.01 < 1.9 < found["fake_device", "synchronised"] < 2.1
    assert found["wrong_gradient", "incorrect"] == 1
    assert found["one_ulp", "worse or better"] == 1
    assert len(found) == 6


def test_busy_processes_are_there_while_they_are_wanted_and_no_longer() -> None:
    before = set(psutil.Process().children())
    with busy(2):
        there = set(psutil.Process().children()) - before
        assert len(there) == 2
        assert all(each.is_running() for each in there)
    assert not any(each.is_running() for each in there)
