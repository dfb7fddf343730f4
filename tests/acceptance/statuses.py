"""What cannot be measured is a row with a status and a reason."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import harness
from tests.acceptance.line import Line

TROUBLE = """
title = "Cells that cannot be measured"
methods = ["native", "dense", "csr_at", "tests.acceptance.faults:dies"]
phases = ["forward"]

[axes]
dtype = ["float16", "float64"]
n = [100, 1000000]
k = [10, 1000]

[timing]
rounds = 2
launches = 1

[limits]
memory = "256 MiB"
"""


def measure() -> Iterator[Line]:
    """Counts that must be exactly so, as a share of what is expected: 1."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trouble.toml"
        path.write_text(TROUBLE)
        cells = harness.run(harness.load_study(path), folder, say=lambda _: None).cells
        half = cells.query("method == 'csr_at' and dtype == 'float16'")
        named = (half["status"] == "unsupported") & half["reason"].str.contains("Half")
        yield Line("float16 on csr_at: share of rows 'unsupported' with torch's message", named.mean(), 1.0, True)
        large = cells.query("method == 'dense' and dtype == 'float64' and n == 1000000 and k == 1000")
        skipped = (large["status"] == "skipped") & large["reason"].str.contains("bytes")
        yield Line("a 1e6 by 1e3 float64 dense cell: share of rows 'skipped' with the bytes", skipped.mean(), 1.0, True)
        dead = cells[cells["method"].str.contains("dies")]
        crashed = (dead["status"] == "crashed") & dead["reason"].str.contains("SIGKILL")
        yield Line("SIGKILL of a worker: share of rows 'crashed'", crashed.mean(), 1.0, True)
        others = cells.query("method == 'native' and status == 'ok'")
        yield Line(
            "cells beside it that were measured", len(others) / len(cells.query("method == 'native'")), 1.0, True
        )
