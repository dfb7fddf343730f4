"""Duels and comparisons that nobody fought: launches of known effects and spreads, judged by the real judge."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path

import numpy as np
import pandas as pd

from harness.duel.sets import enough
from harness.tables import read
from harness.verdicts.changes import IDENTITY, changes_of_levels
from harness.verdicts.judge import confirm, judge
from harness.verdicts.ratios import launch_medians, paired_log_ratios

TOLERANCE = {"time": 0.02, "memory": 0.05, "error": 0.10}
QUANTITIES = 100
LAUNCHES = 20
"""Of the first set of `make regress` on the machine of the committed run: see results/README.md."""

ROOT = Path(__file__).parent.parent

Frame = pd.DataFrame


@cache
def committed_spreads() -> np.ndarray:
    """Of each quantity of the committed run of the study `regression` the standard deviation between launches of the
    logarithm of its ratio to native in the same rounds, in ascending order: what a duel has between its sides."""
    (folder,) = ROOT.glob("results/*/regression/reference")
    pairs = paired_log_ratios(read(folder).timings)
    pairs = pairs[~pairs["method"].isin(("native", "copy", "read"))]
    of = ["case", "method", "phase"]
    medians = launch_medians(pairs, of, "log_ratio")
    return np.sort(medians.groupby(of)["log_ratio"].std().to_numpy())


def identities(count: int, cases: int | None = None) -> Frame:
    """The identity of so many quantities of time, the cells of as many cases unless another number is told."""
    columns = {name: [""] * count for name in IDENTITY} | {"dtype": ["float32"] * count}
    table = Frame(columns).assign(kind="time", phase="forward", clock="wall")
    return table.assign(
        case=[str(number % (cases or count)) for number in range(count)],
        method=[f"m{number // (cases or count)}" for number in range(count)],
    )


def drawn_changes(draws: np.ndarray) -> Frame:
    """What changes_of_pairs makes of launches (rows) of quantities (columns), as log-ratios of times of 1 ms."""
    launches, count = draws.shape
    mean = draws.mean(axis=0)
    return identities(count).assign(
        base=1e-3, head=1e-3 * np.exp(mean), effect=mean, launches=launches, freedom=launches - 1.0,
        error=draws.std(axis=0, ddof=1) / launches**0.5,
    )  # fmt: skip


def fight(
    rng: np.random.Generator, effects: np.ndarray, spreads: np.ndarray, most: int, tolerance: float = TOLERANCE["time"]
) -> Frame:
    """The judgement of a duel of quantities of these effects (log-ratios) and launch spreads, whose first set may have
    `most` launches: it ends as a real one does, and what it finds is confirmed by a second set."""
    allowed = {"time": tolerance}
    first, second = (rng.normal(effects, spreads, size=(most, len(effects))) for _ in range(2))

    def judge_first(launches: int) -> Frame:
        return judge(drawn_changes(first[:launches]), allowed)

    done = next(many for many in range(1, most + 1) if many == most or enough(many, 1, partial(judge_first, many)))
    judged = judge_first(done)
    if judged["found"].any():
        again = drawn_changes(second[:done])[judged["found"].to_numpy()]
        judged = confirm(judged, judge(again, allowed))
    return judged


def fight_one_planted(rng: np.random.Generator, effect: float, spread: float, most: int) -> tuple[str, bool]:
    """The verdict on one quantity of this effect and spread among QUANTITIES, the others of no effect and the committed
    spreads; and whether any other is called slower or faster."""
    spreads = np.concatenate([[spread], np.resize(committed_spreads(), QUANTITIES - 1)])
    effects = np.where(np.arange(QUANTITIES) == 0, effect, 0.0)
    words = fight(rng, effects, spreads, most)["verdict"]
    return str(words[0]), bool(words[1:].isin(("slower", "faster")).any())


def run_levels(means: np.ndarray, spreads: np.ndarray, rng: np.random.Generator, launches: int, cases: int) -> Frame:
    """Launches of recorded runs: `means` is runs by quantities, of the logarithm of the level."""
    runs, count = means.shape
    draws = rng.normal(means[:, np.newaxis, :], spreads, size=(runs, launches, count))
    table = pd.concat([identities(count, cases)] * (runs * launches), ignore_index=True)
    run, launch, _ = np.indices(draws.shape)
    return table.assign(
        run=run.ravel(), launch=1 + launch.ravel(), log_level=draws.ravel(), value=np.exp(draws.ravel())
    )


def compare_with_baseline(
    rng: np.random.Generator,
    effects: Sequence[float] | np.ndarray,
    run_spreads: np.ndarray,
    runs: int,
    launches: int = 12,
    cases: int = 4,
) -> Frame:
    """The judgement of a recorded run, of these effects, against a baseline of so many runs. run_spreads: of each
    quantity the standard deviation between runs; between launches it has a committed one."""
    count = len(effects)
    spreads = rng.permutation(np.resize(committed_spreads(), count))
    base = run_levels(rng.normal(0, run_spreads, size=(runs, count)), spreads, rng, launches, cases)
    head = run_levels(rng.normal(0, run_spreads, size=(1, count)) + effects, spreads, rng, launches, cases)
    return judge(changes_of_levels(base, head), TOLERANCE)
