"""Runs in memory that nobody measured: launches of given times, errors and memory."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from harness.study.cells import Case
from harness.tables import Run
from tests.sidecar import SIDECAR

CASE = Case(n=64, k=4)

Frame = pd.DataFrame


def noise(seed: int, launches: int = 12, mean: float = 0.0, sd: float = 0.005) -> list[float]:
    """A sample with exactly this mean and standard deviation."""
    drawn = np.random.default_rng(seed).normal(size=launches)
    return list(mean + sd * (drawn - drawn.mean()) / drawn.std(ddof=1))


def key(method: str, case: Case = CASE) -> dict[str, Any]:
    """The key columns of a cell."""
    return {"case": case.id, "method": method} | case.axes


def memory_table(peaks: Sequence[float], method: str = "m") -> Frame:
    """Rows of memory.csv: the peak of forward in each launch, in bytes."""
    own = {"phase": "forward", "min_bytes": 1}
    return Frame([key(method) | own | {"launch": at, "peak_bytes": float(peak)} for at, peak in enumerate(peaks, 1)])


def fake_run(
    seconds: Mapping[str, Sequence[float]],
    errors: Mapping[str, float] | None = None,
    statuses: Mapping[str, str] | None = None,
    peaks: Mapping[str, Sequence[float]] | None = None,
    **info: Any,
) -> Run:
    """A run in memory: method -> seconds of forward in each launch; method -> ulp_max; status; peaks."""
    times = {"read": [1e-5] * max(map(len, seconds.values()), default=0)} | dict(seconds)
    states = dict.fromkeys(times, "ok") | dict(statuses or {})
    launches = max(1, *map(len, times.values()))
    cell = {"reason": "it says why", "machine": "here", "predicted_bytes": 1, "wall_seconds": 0.1}
    cell["compile_seconds"] = math.nan
    block = {"round": 0, "position": 0, "calls": 1}
    tables = {
        "cells": [
            key(method) | {"launch": launch, "status": status} | cell
            for method, status in states.items()
            for launch in range(1, launches + 1)
        ],
        "timings": [
            key(method)
            | {"phase": "apply" if method == "read" else "forward", "clock": "wall", "launch": at}
            | block
            | {"seconds": each}
            for method, sample in times.items()
            for at, each in enumerate(sample, 1)
        ],
        "discrepancies": [
            key(method)
            | {"launch": 1, "tensor": "dx", "of": "method", "reference": "exact", "metric": "ulp_max", "value": value}
            for method, value in ({"none": 0.0} | dict(errors or {})).items()
        ],
    }
    run = Run(
        Path("head"), SIDECAR | {"timing": {"block_seconds": 0.001, "rounds": 1}, "end": "now", "commit": "c"} | info
    )
    frames: dict[str, Frame] = {name: Frame(rows) for name, rows in tables.items()}
    frames["memory"] = pd.concat([memory_table(each, method) for method, each in (peaks or {"m": [1.0]}).items()])
    vars(run).update(frames)
    return run
