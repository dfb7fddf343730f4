"""Rows of a history that nobody measured: judged runs of planted figures."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

from harness.study.cells import Case
from harness.tables import history_columns

CASES = (Case(n=64, k=4), Case(n=128, k=4, dtype="bfloat16"))

ERROR: dict[str, Any] = {
    "kind": "error", "phase": "", "clock": "", "tensor": "dx", "reference": "exact", "metric": "ulp_max",
}  # fmt: skip
"""The columns of a row that is an error."""


def begin(run: int) -> str:
    return f"2026-{1 + run // 28:02d}-{1 + run % 28:02d}T10:00:00+00:00"


def row(run: int, level: float, case: Case = CASES[0], **columns: Any) -> dict[str, Any]:
    """A row of a history: time of forward of gather, if nothing else is said."""
    what = {
        "study": "trial",
        "method": "gather",
        "kind": "time",
        "phase": "forward",
        "clock": "wall",
        "tensor": "",
        "reference": "",
    }
    who = {"begin": begin(run), "base_commit": "b" * 40, "head_commit": f"{run:08x}" * 5, "torch": "2.13.0"}
    figures = {"base": 1e-5, "head": 1e-5, "ratio": 1.0, "low": 0.9, "high": 1.1, "launches": 12, "verdict": "same"}
    return who | what | {"case": case.id, "metric": "", "level": level} | case.axes | figures | columns


def history(levels: Iterable[float], **columns: Any) -> pd.DataFrame:
    """A history of one quantity."""
    return pd.DataFrame([row(run, level, **columns) for run, level in enumerate(levels)])[history_columns()]


def commit(number: int) -> str:
    return f"{number:08x}" * 5


def chain(ratios: Iterable[float], level: float = 2.0, half: float = 0.01, **columns: Any) -> pd.DataFrame:
    """A history of one quantity in which run i judged commit i + 1 against commit i, with this ratio; one that is not 1
    is a change. level: at the first commit; half: the relative half width of every interval."""
    rows = []
    for run, ratio in enumerate(ratios):
        level *= ratio
        verdict = "slower" if ratio > 1 else "faster" if ratio < 1 else "same"
        sides: dict[str, Any] = {
            "base_commit": commit(run),
            "head_commit": commit(run + 1),
            "base": 1e-6 * level / ratio,
        }
        judged = {"head": 1e-6 * level, "ratio": ratio, "low": ratio * (1 - half), "high": ratio * (1 + half)}
        rows.append(row(run, level, **{"verdict": verdict} | sides | judged | columns))
    return pd.DataFrame(rows)[history_columns()]
