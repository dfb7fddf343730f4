"""Rows of every table, as what measures and what judges would have given them to be written."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from harness.study.cells import Case
from harness.tables import Row, history_columns

CASES = (Case(n=4, k=1), Case(n=8, k=2, dtype="float64"))
METHODS = ("native", "null")
APPENDED = ("timings", "memory", "discrepancies", "cells")


def own(table: str, value: float, text: str, launch: int) -> dict[str, Any]:
    """The columns of a table after the key."""
    cell: dict[str, Any] = {"launch": launch, "status": "ok", "reason": text, "machine": text}
    rows: dict[str, dict[str, Any]] = {
        "cells": cell
        | {"predicted_bytes": 2**53 + 1, "wall_seconds": abs(value) if math.isfinite(value) else 0.5}
        | {"compile_seconds": value},
        "timings": {"phase": "forward", "clock": "wall", "launch": launch, "round": 0, "position": 1}
        | {"calls": 7, "seconds": 0.1},
        "memory": {"phase": "forward", "launch": launch, "min_bytes": 2**60 + 1, "peak_bytes": value},
        "discrepancies": {
            "launch": launch,
            "tensor": text,
            "of": text,
            "reference": text,
            "metric": text,
            "value": value,
        },
        "instructions": {"phase": "forward", "launch": launch, "calls": 7, "instructions": value}
        | {"status": "ok", "reason": text},
        "facts": {"fact": text, "item": text, "value": value, "detail": text},
    }
    return rows[table]


def rows_of(case: Case, launch: int, value: float = 0.25, text: str = "nan") -> dict[str, list[Row]]:
    """What a worker gives: the rows of a case in a launch; errors in the first launch only."""
    return {
        table: [
            {"case": case.id, "method": method} | case.axes | own(table, value, text, launch)
            for method in METHODS
            if launch == 1 or table != "discrepancies"
        ]
        for table in APPENDED
    }


def verdicts_of(text: str) -> pd.DataFrame:
    """One row of verdicts.csv whose reason is this text."""
    quantity = {"kind": "time", "phase": "forward", "clock": "wall", "tensor": text, "reference": text, "metric": text}
    figures = {"base": 1.0, "head": -1.5, "ratio": -math.inf, "low": 1.0, "high": 1.0, "launches": 12}
    own = {"verdict": "slower", "detectable": 0.01, "reason": text}
    return pd.DataFrame([{"case": CASES[0].id, "method": text or "x"} | CASES[0].axes | quantity | figures | own])


def history_of(verdicts: pd.DataFrame, text: str) -> pd.DataFrame:
    """The rows of history.csv of these verdicts, whose facts are this text."""
    facts = dict.fromkeys(("begin", "base_commit", "head_commit", "torch"), text)
    return verdicts.assign(study="trial", level=1.0, **facts)[history_columns()]
