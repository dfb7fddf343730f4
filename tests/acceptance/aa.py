"""A/A: the same kernel under two names differs by less than 1.5 % in rounds, quiet and beside two busy processes.

Beside it, the same cases one after the other with torch.utils.benchmark, in the same run.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch.utils.benchmark import Timer

import harness
from harness.planning.loading import plan_of
from harness.verdicts.ratios import paired_log_ratios
from tests.acceptance.line import Line
from tests.planted.load import BUSY_PROCESSES, busy

BOUND = 0.015
ARM_SECONDS = 0.1
STUDY = Path(__file__).with_name("twins.toml")


def measure() -> Iterator[Line]:
    """Two lines of ours against the bound, two of the usual tool for comparison."""
    for load, processes in (("quiet", 0), (f"beside {BUSY_PROCESSES} busy processes", BUSY_PROCESSES)):
        with busy(processes):
            ours, theirs = in_rounds(), one_after_the_other()
        yield Line(f"A/A in rounds, {load}: 95th percentile of |log ratio| over {len(ours)} cases", p95(ours), BOUND)
        yield Line(f"A/A by torch.utils.benchmark, {load}: the same", p95(theirs), None)


def in_rounds() -> np.ndarray:
    """|median log ratio| of the twins, case by case, by the harness."""
    with tempfile.TemporaryDirectory() as results:
        run = harness.run(harness.load_study(STUDY), results, say=lambda _: None)
        pairs = paired_log_ratios(run.timings)
    twins = pairs[pairs["method"].str.contains("twin")]
    ratios: np.ndarray = twins.groupby("case")["log_ratio"].median().abs().to_numpy()
    return ratios


def one_after_the_other() -> np.ndarray:
    """|log ratio| of the same kernel timed twice in turn by blocked_autorange, 0.1 s each."""
    torch.set_num_threads(1)
    ratios = []
    for case, _ in plan_of(harness.load_study(STUDY)):
        y = harness.draw(case).y
        timer = Timer("torch.topk(y, k)", globals={"torch": torch, "y": y, "k": case.k})
        first, second = (timer.blocked_autorange(min_run_time=ARM_SECONDS).median for _ in range(2))
        ratios.append(abs(np.log(first / second)))
    return np.array(ratios)


def p95(ratios: np.ndarray) -> float:
    """95th percentile."""
    return float(np.quantile(ratios, 0.95))
