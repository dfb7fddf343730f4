"""The tools that `instrument` compares: each runs a unit, which is the least that it does to get one number a cell.

A unit is one launch of two fresh workers (duel), one process (torch.utils.benchmark, pytest-benchmark), or one process
a cell (pyperf).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from harness.session.case import CaseRunner
from harness.session.process import Worker, cores_for_workers
from harness.session.side import Side
from harness.study.cells import Case, Cell
from harness.study.definition import Study

PLANTED = "tests.planted.methods:"
TWINS = (f"{PLANTED}twin", f"{PLANTED}twin_again")
"""The same kernel under two names."""

TIMEOUT = 300.0
"""Seconds after which a unit of another tool is given up."""

Times = dict[tuple[str, str], float]
"""(case, method) -> logarithm of the seconds of a call; from a duel, of their ratio to those of the base's twin."""


def _duel(study: Study, unit: Sequence[Case], names: Sequence[str]) -> Times:
    """One launch of a duel of the harness with itself."""
    times: Times = {}
    sides = [Side(lambda: Worker.spawn(cores_for_workers())) for _ in range(2)]
    with CaseRunner(study, sides) as runner:
        for case in unit:
            cells = [Cell(case, name, 0) for name in names]
            base, head = runner.run(case, [cells, cells], case.seed, float("inf"), measure=())
            beside = {block.round: block.seconds for block in base.blocks if block.arm.method == TWINS[0]}
            rows = [(block.arm.method, np.log(block.seconds / beside[block.round])) for block in head.blocks]
            medians = pd.DataFrame(rows, columns=["method", "ratio"]).groupby("method")["ratio"].median()
            times |= {(case.id, str(name)): float(value) for name, value in medians.items()}
    return times


def _torch(_: Study, unit: Sequence[Case], names: Sequence[str]) -> Times:
    output = _run([sys.executable, "-m", "tests.planted.methods"], unit, names)
    return _logarithms(json.loads(output))


def _pytest(_: Study, unit: Sequence[Case], names: Sequence[str]) -> Times:
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "benchmarks.json"
        options = ["--benchmark-disable-gc", f"--benchmark-json={target}"]
        command = ["-m", "pytest", "--quiet", "-p", "no:cacheprovider", "tests/planted/by_pytest.py", *options]
        _run([sys.executable, *command], unit, names)
        benchmarks = json.loads(target.read_text(encoding="utf-8"))["benchmarks"]
    return _logarithms({entry["param"]: entry["stats"]["median"] for entry in benchmarks})


def _pyperf(_: Study, unit: Sequence[Case], names: Sequence[str]) -> Times:
    import pyperf

    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "suite.json"
        _run([sys.executable, "-m", "tests.planted.by_pyperf", "--quiet", "--output", str(target)], unit, names)
        suite = pyperf.BenchmarkSuite.load(str(target))
        return _logarithms({benchmark.get_name(): benchmark.median() for benchmark in suite.get_benchmarks()})


TOOLS: dict[str, Callable[[Study, Sequence[Case], Sequence[str]], Times]] = {
    "duel": _duel,
    "torch.utils.benchmark": _torch,
    "pytest-benchmark": _pytest,
    "pyperf": _pyperf,
}


def _run(command: list[str], unit: Sequence[Case], names: Sequence[str]) -> str:
    """The output of a command, which finds the cases and methods of its unit in the environment."""
    # Variables of an outer pytest would change the inner one.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment |= {
        "PLANTED_CASES": json.dumps({case.id: case.axes for case in unit}),
        "PLANTED_METHODS": " ".join(names),
    }
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=TIMEOUT)
    return done.stdout


def _logarithms(seconds: dict[str, float]) -> Times:
    """seconds: 'case method' -> seconds of a call."""
    return {(name.split()[0], name.split()[1]): float(np.log(value)) for name, value in seconds.items()}
