"""Runs that nobody measured: tables of a small study with planted times, as a run would have written them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from harness.planning.loading import load_study_of
from harness.study.cells import Case
from harness.tables import Run, RunWriter, read
from harness.verdicts.comparison import compare_verdicts
from tests.sidecar import SIDECAR

TEXT = """
title = "Recorded"
methods = ["native", "gather"]
phases = ["forward"]
[axes]
n = [64, 256]
k = 4
[timing]
rounds = 3
launches = 12
"""

TIMING = {"block_seconds": 0.001, "rounds": 3, "fresh_memory": True}
CASES = (Case(n=64, k=4), Case(n=256, k=4))
SECONDS = {"native": 1e-4, "gather": 2e-4, "read": 1e-5}
SPREAD = 0.003
"""Standard deviation of the logarithm of a launch: well behaved, so that what is planted is what is found."""


def record(
    folder: Path,
    *,
    slower: Mapping[str, float] | None = None,
    launches: int = 12,
    status: Mapping[str, str] | None = None,
    error: float = 0.5,
    seed: int = 0,
    cases: Sequence[Case] = CASES,
    seconds: Mapping[str, float] = SECONDS,
    **info: Any,
) -> Path:
    """Write a run; slower: method -> factor of its times; status: method -> what became of it; error: its ulp_max."""
    factors, statuses = slower or {}, status or {}
    folder.mkdir(parents=True)
    sidecar = SIDECAR | {"study": "recorded", "text": TEXT, "timing": TIMING, "commit": folder.name, "dirty": False}
    (folder / "run.json").write_text(json.dumps(sidecar | {"torch": {"torch": "2.x"}, "end": "now"} | info))
    rng = np.random.default_rng(seed)
    with RunWriter(folder, {}) as writer:
        writer.open()
        for launch in range(1, launches + 1):
            for case in cases:
                key = {"case": case.id} | case.axes
                rows: dict[str, list[dict[str, Any]]] = {"cells": [], "timings": [], "memory": [], "discrepancies": []}
                for method, usual in seconds.items():
                    mine = key | {"method": method, "launch": launch}
                    became = statuses.get(method, "ok")
                    rows["cells"].append(
                        mine
                        | {"status": became, "reason": "planted", "machine": "here"}
                        | {"predicted_bytes": 0, "wall_seconds": 0.0, "compile_seconds": math.nan}
                    )
                    if became != "ok":
                        continue
                    lasts = usual * factors.get(method, 1.0) * float(np.exp(rng.normal(0, SPREAD)))
                    phase = "apply" if method == "read" else "forward"
                    for number in range(3):
                        block = {"phase": phase, "round": number, "position": 0, "calls": 1, "seconds": lasts}
                        block["clock"] = "wall"
                        rows["timings"].append(mine | block)
                    rows["memory"].append(mine | {"phase": phase, "min_bytes": 1, "peak_bytes": 4e6})
                    if launch == 1 and method != "read":
                        figure = {"tensor": "dx", "of": "method", "reference": "exact", "metric": "ulp_max"}
                        rows["discrepancies"].append(mine | figure | {"value": error})
                writer.commit(rows)
    return folder


def judged(folder: Path) -> tuple[pd.DataFrame, Run, Run]:
    """Two runs in a folder, of which nothing is planted, and their verdicts: verdicts, base, head."""
    base, head = (read(record(folder / name, seed=seed)) for seed, name in enumerate(("base", "head")))
    return compare_verdicts([base], head, load_study_of(head).gate), base, head
