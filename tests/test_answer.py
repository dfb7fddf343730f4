"""What the answer says where something was not measured: not that it was right."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pandas as pd
import pytest

from harness.page.answer import which_method
from harness.page.charts import error_chart
from harness.page.exactness import exactness, exactness_tables
from harness.study.cells import Case
from harness.tables import Run, read
from harness.verdicts.fastest import fastest
from tests.recorded import record


def run_of(flips: dict[int, float]) -> Run:
    """Native's errors at n = 64 and 256, and its flips where they are known."""
    rows: list[dict[str, Any]] = []
    for n in (64, 256):
        case = Case(n=n, k=4)
        key = {"case": case.id, "method": "native"} | case.axes | {"of": "method", "reference": "exact"}
        rows.append(key | {"tensor": "dx", "metric": "rel_l2", "value": 1e-7 * n})
        if n in flips:
            rows.append(key | {"tensor": "selection", "metric": "flips", "value": flips[n]})
    return cast(Run, SimpleNamespace(discrepancies=pd.DataFrame(rows)))


@pytest.mark.parametrize(
    ("flips", "share", "labels"),
    [
        ({}, "not measured", ["flips not measured"] * 2),
        ({64: 0.0}, "0 of 1 cells", ["selection right", "flips not measured"]),
        ({64: 0.0, 256: 2.0}, "1 of 2 cells", ["selection right", "an index flipped"]),
    ],
    ids=["none", "one", "both"],
)
def test_flips_that_were_not_measured_are_not_said_to_be_none(
    flips: dict[int, float], share: str, labels: list[str]
) -> None:
    found = exactness(run_of(flips))
    assert found.by_dtype[0].worst == {"dx": 1e-7 * max(n for n in (64, 256) if not flips.get(n))}
    (table,) = exactness_tables(found)
    (row,) = table.rows
    assert row[-1] == share
    chart = error_chart(run_of(flips))
    assert chart is not None
    (data,) = chart["datasets"].values() if "datasets" in chart else (chart["data"]["values"],)
    assert [each["selection"] for each in data] == labels


def test_without_native_there_is_no_table_of_the_fastest(tmp_path: Path) -> None:
    run = read(record(tmp_path / "run", seconds={"gather": 1e-4, "read": 1e-5}))
    assert list(which_method(fastest(run.timings))) == []
