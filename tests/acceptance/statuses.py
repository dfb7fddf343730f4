"""What cannot be measured is a row with a status and a reason, and what was killed goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

import harness
from harness.study import Study
from harness.tables import newest_run
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

LONG = """
title = "Long enough to be killed"
methods = ["native", "gather"]
phases = ["forward", "backward"]

[axes]
n = [64, 128, 256, 512, 1024, 2048, 4096, 8192]
k = [1, 2, 4, 8]

[timing]
rounds = 4
launches = 2
"""


def measure() -> Iterator[Line]:
    """Counts that must be exactly so, as a share of what is expected: 1."""
    with tempfile.TemporaryDirectory() as folder:
        cells = harness.run(_study(folder, "trouble", TROUBLE), folder, say=lambda _: None).cells
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
    yield Line("SIGKILL of a run, resumed: key sets that differ from an undisturbed run's", killed_and_resumed(), 0.0)


def killed_and_resumed() -> float:
    """0 where a killed and resumed run has the keys of an undisturbed one, each once; else 1."""
    with tempfile.TemporaryDirectory() as folder:
        study = _study(folder, "long", LONG)
        undisturbed = harness.run(study, Path(folder) / "a", say=lambda _: None)
        command = [sys.executable, "-m", "harness", "run", f"{folder}/long.toml", "--results", f"{folder}/b"]
        running = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        logs: list[Path] = []
        while not logs or logs[0].read_bytes().count(b"\n") < 40:
            time.sleep(0.02)
            logs = list(Path(folder).glob("b/*/long/*/cells.csv"))
        for child in psutil.Process(running.pid).children():
            child.send_signal(signal.SIGKILL)
        os.kill(running.pid, signal.SIGKILL)
        running.wait()
        resumed = harness.resume(newest_run(Path(folder) / "b", "long"), say=lambda _: None)
        same = all(
            sorted(map(tuple, getattr(resumed, table)[columns].to_numpy()))
            == sorted(map(tuple, getattr(undisturbed, table)[columns].to_numpy()))
            for table, columns in (
                ("cells", ["case", "method", "launch"]),
                ("timings", ["case", "method", "phase", "launch", "round"]),
                ("memory", ["case", "method", "phase"]),
                ("discrepancies", ["case", "method", "tensor", "of", "reference", "metric"]),
            )
        )
        return 0.0 if same else 1.0


def _study(folder: str, name: str, text: str) -> Study:
    path = Path(folder) / f"{name}.toml"
    path.write_text(text)
    return harness.load_study(path)
