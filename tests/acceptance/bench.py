"""A fresh clone, `make bench`, and what a person then has; then the other studies, and all figures without torch."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pandas as pd

import harness
from harness.precision.causes import CAUSES
from harness.report.terminal import closing_table
from harness.tables import Run, newest_run
from tests.acceptance.line import Line

BENCH_SECONDS = 480.0
HELP_SECONDS = 0.3
INSIDE_SHARE = 0.6
CLOSING_LINES = 10
STUDIES = ("seed", "precision", "speed")
LEFT_OUT = ("blockmax", "instrument", "workloads")
"""Two measure for seven and eight minutes; `instrument` times planted methods, by the usual tools too."""

PLOT_SECONDS = 60.0
NO_TORCH = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            raise ImportError("torch is blocked")

sys.meta_path.insert(0, Blocked())
"""


def measure() -> Iterator[Line]:
    """Times in seconds, counts of files, and the share of wall time that was spent inside blocks."""
    yield Line("python -m harness --help, the slowest of five (s)", max(help_seconds() for _ in range(5)), HELP_SECONDS)
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "clone"
        subprocess.run(["git", "clone", "--quiet", ".", str(clone)], check=True)
        subprocess.run(["make", "--silent", "setup"], cwd=clone, check=True)
        begin = time.monotonic()
        output = subprocess.run(["make", "--silent", "bench"], cwd=clone, check=False, capture_output=True, text=True)
        yield Line("make bench from a fresh clone, installation apart (s)", time.monotonic() - begin, BENCH_SECONDS)
        yield Line("its exit code", output.returncode, 0)
        runs = [harness.read(newest_run(clone / "results", name)) for name in STUDIES]
        rows = min(len(run.cells) for run in runs)
        yield Line("rows of cells.csv in the smallest of its runs", rows, 1, at_least=True)
        figures = min(len(list((run.path / "figures").glob("*.svg"))) for run in runs)
        yield Line("figures (SVG) of the study that has fewest", figures, 1, at_least=True)
        told, table = closing_table(runs[-1]).split("\n", 1)
        printed = f"{told}\n{table}" in output.stdout
        yield Line("lines of the closing table", len(table.splitlines()) if printed else math.nan, CLOSING_LINES)
        yield Line(
            "share of the wall time of `speed` inside blocks", inside_share(runs[-1]), INSIDE_SHARE, at_least=True
        )
        yield from other_studies(clone)


def other_studies(clone: Path) -> Iterator[Line]:
    """Causes over the shipped studies but LEFT_OUT, and the time to draw all their figures."""
    shipped = sorted(path.stem for path in (clone / "studies").glob("*.toml"))
    others = [name for name in shipped if name not in (*STUDIES, *LEFT_OUT)]
    command = ["make", "--silent", "bench", f"STUDIES={' '.join(others)}"]
    done = subprocess.run(command, cwd=clone, check=False, capture_output=True)
    yield Line(f"exit code of make bench of {', '.join(others)}", done.returncode, 0)
    runs = [harness.read(newest_run(clone / "results", name)) for name in (*STUDIES, *others)]
    over = f"over the {len(runs)} shipped studies that are not {', '.join(LEFT_OUT)}"
    wrong = sum(int(run.cells["status"].isin(("crashed", "incorrect")).sum()) for run in runs)
    yield Line(f"cells crashed or incorrect {over}", wrong, 0)
    rows = pd.concat(run.discrepancies for run in runs)
    counts = rows[rows["metric"].str.startswith("cause_")].groupby("metric")["value"].sum()
    yield Line(f"entries without a cause {over}", counts["cause_unexplained"], 0)
    seen = sum(counts.get(f"cause_{name}", 0) > 0 for name in CAUSES)
    yield Line(f"causes, of {len(CAUSES)}, that have a row", seen, len(CAUSES), at_least=True)
    (clone / "sitecustomize.py").write_text(NO_TORCH)
    begin = time.monotonic()
    subprocess.run(
        ["make", "--silent", "plots", f"STUDIES={' '.join((*STUDIES, *others))}"],
        cwd=clone,
        check=True,
        capture_output=True,
        env=os.environ | {"PYTHONPATH": str(clone)},
    )
    yield Line("make plots of these studies, without torch (s)", time.monotonic() - begin, PLOT_SECONDS)


def help_seconds() -> float:
    """Seconds until --help is printed."""
    begin = time.monotonic()
    subprocess.run([sys.executable, "-m", "harness", "--help"], check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - begin


def inside_share(run: Run) -> float:
    """Seconds inside blocks over seconds from the first line of run.json to the last, start of workers included."""
    begin, end = (datetime.fromisoformat(run.info[key]) for key in ("begin", "end"))
    inside = float((run.timings["calls"] * run.timings["seconds"]).sum())
    return inside / (end - begin).total_seconds()
