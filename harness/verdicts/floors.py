"""What is too small to matter, and what is added before a logarithm is taken, by kind of quantity."""

from __future__ import annotations

import numpy as np
import pandas as pd

from harness.exact.ulp import FORMATS

TIME_FLOOR = 5e-8
"""Seconds: a smaller difference is none, whatever the ratio. 50 ns is about three empty calls."""

MEMORY_FLOOR = float(1 << 16)
"""Bytes: the same for a peak that varies between launches, as where a method keeps some of what it allocated."""

PAGE = 4096.0
"""Bytes: the same for a peak that every launch repeats to the byte."""

MEMORY_ADDED = float(1 << 20)
"""Bytes added to a peak that varies before its logarithm is taken: a few pages more of nearly nothing are no change."""


def half_unit(metric: str, dtype: str) -> float:
    """Half of the unit that an error is counted in: an ulp or an entry; of a relative error the unit roundoff."""
    if metric.startswith("rel_"):
        return FORMATS[dtype].unit_roundoff
    return 0.5


def added(rows: pd.DataFrame) -> np.ndarray:
    """Per row of `kind metric dtype`: what is added to a figure before its logarithm is taken, since it may be 0."""
    return _by_kind(rows, time=0.0, memory=MEMORY_ADDED, error=2.0)


def floors(rows: pd.DataFrame) -> np.ndarray:
    """Per row of `kind metric dtype`: a smaller difference is none where the figure varies between launches."""
    return _by_kind(rows, time=TIME_FLOOR, memory=MEMORY_FLOOR, error=1.0)


def exact_floors(rows: pd.DataFrame) -> np.ndarray:
    """The same where every launch repeats the figure."""
    return _by_kind(rows, time=TIME_FLOOR, memory=PAGE, error=1.0)


def _by_kind(rows: pd.DataFrame, *, time: float, memory: float, error: float, instructions: float = 0.0) -> np.ndarray:
    """Per row the figure of its kind; that of an error is in half units."""
    figures = {"time": time, "memory": memory, "instructions": instructions}
    return np.array(
        [
            error * half_unit(metric, dtype) if kind == "error" else figures.get(kind, np.nan)
            for kind, metric, dtype in zip(rows["kind"], rows["metric"], rows["dtype"], strict=True)
        ],
        dtype=float,
    )
