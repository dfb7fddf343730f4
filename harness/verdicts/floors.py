"""Floors, under which a difference is too small to matter, and the offsets that are added before a logarithm."""

from __future__ import annotations

import numpy as np
import pandas as pd

from harness.exact.ulp import FORMATS

TIME_FLOOR = 5e-8
"""Floor of times in seconds: a smaller difference does not matter, whatever the ratio. Three empty calls take 50 ns."""

MEMORY_FLOOR = float(1 << 16)
"""Floor in bytes of peaks that vary between launches, for example because a method keeps some of its allocations."""

PAGE = 4096.0
"""Floor in bytes of peaks that every launch repeats to the byte."""

MEMORY_ADDED = float(1 << 20)
"""Offset in bytes, added to a varying peak before its logarithm is taken: without it, a few pages more would be a large
relative change of a peak near 0."""


def half_unit(metric: str, dtype: str) -> float:
    """Half of the unit of a metric: half an ulp, half an entry, or the unit roundoff for a relative error."""
    if metric.startswith("rel_"):
        return FORMATS[dtype].unit_roundoff
    return 0.5


def added(rows: pd.DataFrame) -> np.ndarray:
    """Offset of each row (with columns `kind metric dtype`), added to its figure before the logarithm is taken.

    Memory and errors may be 0. The offset of an error is one unit of its metric.
    """
    return _by_kind(rows, time=0.0, memory=MEMORY_ADDED, error=2.0)


def floors(rows: pd.DataFrame) -> np.ndarray:
    """Floor of each row (with columns `kind metric dtype`), for figures that vary between launches."""
    return _by_kind(rows, time=TIME_FLOOR, memory=MEMORY_FLOOR, error=1.0)


def exact_floors(rows: pd.DataFrame) -> np.ndarray:
    """Floor of each row (with columns `kind metric dtype`), for figures that every launch repeats."""
    return _by_kind(rows, time=TIME_FLOOR, memory=PAGE, error=1.0)


def _by_kind(rows: pd.DataFrame, *, time: float, memory: float, error: float) -> np.ndarray:
    """Per row the number given for its kind; that of errors is in half units of the metric."""
    figures = {"time": time, "memory": memory, "instructions": 0.0}  # counts have a floor of their own (judge_counts)
    return np.array(
        [
            error * half_unit(metric, dtype) if kind == "error" else figures.get(kind, np.nan)
            for kind, metric, dtype in zip(rows["kind"], rows["metric"], rows["dtype"], strict=True)
        ],
        dtype=float,
    )
