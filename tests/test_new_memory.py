"""The share of torch.topk's time that goes by while it gets new memory: what a process of its own says of it."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import harness

STUDIES = Path("studies")
SCRIPT = runpy.run_path(str(STUDIES / "new_memory.py"))
LARGER_THAN_MALLOC_KEEPS = 2_200_000


@pytest.mark.skipif(sys.platform != "linux", reason="it is about glibc")
def test_what_malloc_keeps_is_not_got_from_the_system_again(monkeypatch: pytest.MonkeyPatch) -> None:
    measure = SCRIPT["native_over_blockmax"]
    variables: dict[str, Any] = measure.__globals__
    monkeypatch.setitem(variables, "MEASURED", ("float32", LARGER_THAN_MALLOC_KEEPS, 10))
    monkeypatch.setitem(variables, "PROCESSES", 1)
    study = harness.load_study(STUDIES / "blockmax.toml")
    assert list(measure(study)) == []  # the study has no such n
    axes = study.axes.model_copy(update={"n": (LARGER_THAN_MALLOC_KEEPS,)})
    rows = pd.DataFrame(measure(study.model_copy(update={"axes": axes})))
    usual, kept = (int(detail.split()[0]) for detail in rows["detail"])
    assert kept < 100 < 16 * LARGER_THAN_MALLOC_KEEPS / 4096 <= usual + 1
    assert (rows["value"] > 0).all()
    (line,) = SCRIPT["told"](rows)
    assert f"torch.topk has {usual} page faults a call, and then {kept}." in line
    assert list(SCRIPT["told"](rows.head(0))) == []
