"""Sides of a duel of a suite that nobody measured: their tests have planted times."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from harness.study.tables import Gate
from harness.tables import BASE, HEAD, Row, SuiteRun, read_suite, suite_writer, write_suite_info, write_suite_verdicts
from harness.verdicts.suites import suite_verdicts

LAUNCHES, ROUNDS = 12, 3
EFFECT = {"test_same": 1.0, "test_slower": 1.1, "test_faster": 0.8, "test_unsure": 1.0}
SPREAD = {"test_unsure": 0.2}
INFO: dict[str, Any] = {
    "schema": 1,
    "parameters": ["n"],
    "commit": "1" * 40,
    "dirty": False,
    "python": "3.11.7",
    "packages": {"pluggy": "1.5.0", "pytest": "9"},
    "suite": "a.py",
    "machine": {"slug": "here"},
    "timing": {"rounds": 3},
    "begin": "2026-01-01T00:00:00+00:00",
    "end": "2026-01-01T00:05:00+00:00",
}


def written(folder: Path, tests: list[Row], timings: list[Row], **info: Any) -> SuiteRun:
    folder.mkdir()
    write_suite_info(folder, INFO | info)
    with suite_writer(folder, INFO["parameters"]) as writer:
        writer.open()
        writer.commit({"tests": tests, "timings": timings})
    return read_suite(folder)


def side(folder: Path, head: bool, statuses: dict[str, str] | None = None) -> SuiteRun:
    """24 launches of the tests of EFFECT, ok but for `statuses`, which may name other tests."""
    rng = np.random.default_rng(7 if head else 8)
    tests: list[Row] = []
    timings: list[Row] = []
    became = dict.fromkeys(EFFECT, "ok") | (statuses or {})
    for launch in range(1, 2 * LAUNCHES + 1):
        for name, status in became.items():
            key = {"test": f"a.py::{name}[3]", "param_n": "3", "launch": launch}
            reason = "" if status == "ok" else "why"
            tests.append(key | {"status": status, "reason": reason, "machine": "m", "wall_seconds": 0.1})
            level = (EFFECT.get(name, 1.0) if head else 1.0) * math.exp(rng.normal(0, SPREAD.get(name, 0.004)))
            own = {"position": 0, "calls": 5}
            blocks = [key | own | {"round": number, "seconds": 1e-5 * level} for number in range(ROUNDS)]
            timings += blocks if status == "ok" else []
    return written(folder, tests, timings)


FIRST, SECOND = range(1, LAUNCHES + 1), range(LAUNCHES + 1, 2 * LAUNCHES + 1)


def duelled_suite(folder: Path, **packages: str) -> Path:
    """The folder of a duel of both sides, whose head imports these versions of packages besides."""
    folder.mkdir(parents=True)
    base, head = side(folder / BASE, head=False), side(folder / HEAD, head=True)
    write_suite_info(head.path, dict(head.info) | {"packages": dict(head.info["packages"]) | packages})
    verdicts = suite_verdicts(base, read_suite(head.path), FIRST, SECOND, Gate(), {})
    write_suite_verdicts(folder, verdicts, INFO["parameters"])
    return folder
