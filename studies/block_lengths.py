"""Which block length of blockmax is best: where the table of harness/methods/blockmax.py comes from.

Each length is forced in turn, in the same rounds as torch.topk. The figure shows their times, and which of them the
table takes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
import style
import ticks
from matplotlib.figure import Figure

from harness.methods.blockmax import fitted_length
from harness.study.cells import Case
from harness.study.definition import Study
from harness.tables import Row, Run
from harness.vocabulary import ITEMSIZE

FACT = "time_over_native"
LENGTHS = (16, 32, 64, 128, 256, 512, 1024, 2048)
RATIOS = (16, 32, 64, 128, 256, 512, 1024, 4096, 16384, 65536)
"""n/k, on which the best length depends."""

FITTED_ON = (65536, 1000000)
FITTED_DTYPES = ("bfloat16", "float32", "float64")
CASE_SECONDS = 1.0
ROUNDS = 15


def lengths_over_native(study: Study) -> Iterator[Row]:
    """Facts: the time of one row with each block length, as a multiple of native's. `item` is the block length."""
    for dtype in (name for name in FITTED_DTYPES if name in study.axes.dtype):
        for n in (length for length in FITTED_ON if length in study.axes.n):
            for ratio in RATIOS:
                case = Case(n=n, k=max(1, n // ratio), dtype=dtype)
                key = {"case": case.id, "method": "blockmax", "fact": FACT} | case.axes
                for length, multiple in _over_native(case).items():
                    yield key | {"item": str(length), "value": multiple, "detail": f"n/k = {ratio}"}


def _over_native(case: Case) -> dict[int, float]:
    """Block length -> the time of a forward over native's in the same round, median over rounds."""
    import torch

    from harness.device.clock import Clock
    from harness.device.devices import device_of
    from harness.methods.blockmax import positions
    from harness.session.rounds import in_rounds
    from harness.topk.problems import draw

    torch.set_num_threads(1)
    y = draw(case).y

    def forward(length: int) -> Any:
        indices = positions(y, case.k, True, length)
        return y.gather(-1, indices), indices

    possible = [length for length in LENGTHS if case.n >= 2 * length * case.k]
    calls: dict[str, Callable[[], Any]] = {"native": lambda: y.topk(case.k)}
    calls |= {str(length): partial(forward, length) for length in possible}
    times = in_rounds(calls, Clock(device_of(case.device).synchronize), ROUNDS, CASE_SECONDS, seed=int(case.id, 16))
    native = np.array(times["native"])
    return {length: float(np.median(times[str(length)] / native)) for length in possible}


def table_length(dtype: str, n: int, ratio: int) -> int:
    """The length that the table of blockmax takes for one row; 0: it takes native."""
    return fitted_length(ITEMSIZE[dtype], n, n, max(1, n // ratio))


def block_lengths(run: Run) -> Figure:
    """Time over native by block length and n/k, and the length that blockmax's table takes."""
    style.use()
    rows = style.some(run.facts[run.facts["fact"] == FACT], "fact about block lengths")
    rows = rows.assign(length=rows["item"].astype(int), ratio=_ratio(rows), over=rows["value"])
    table = rows.drop_duplicates(["dtype", "n", "ratio"])
    grid = sns.relplot(
        rows, x="ratio", y="over", hue="length", palette="viridis_r", hue_norm=_log_norm(), col="dtype", row="n",
        kind="line", errorbar=None, marker="o", height=2.7, aspect=1.2, legend="full",
    )  # fmt: skip
    for (n, dtype), axis in grid.axes_dict.items():
        here = table[(table["dtype"] == dtype) & (table["n"] == n)]
        for ratio in here["ratio"]:
            taken = rows["length"] == table_length(str(dtype), int(n), int(ratio))
            chosen = rows[taken & (rows["dtype"] == dtype) & (rows["n"] == n) & (rows["ratio"] == ratio)]
            axis.plot(chosen["ratio"], chosen["over"], "o", mfc="none", mec="black", ms=9)
        axis.axhline(1, color="black", lw=0.8)
        ticks.log(axis, "x", ticks.number)
        ticks.log(axis, "y", ticks.times)
        axis.set_title(f"{dtype}, n = {ticks.size_text(int(n))}")
    grid.set_axis_labels("n/k", "time (native's is 1x)")
    return style.titled(
        grid, "Time of blockmax with each block length; circle: the length in its table; no circle: it takes native"
    )


def beside_the_best(run: Run) -> Iterator[str]:
    """For each dtype and n, how much longer blockmax takes with the length in its table than with the best one."""
    facts = run.facts[run.facts["fact"] == FACT]
    for dtype, of_dtype in facts.assign(ratio=_ratio(facts)).groupby("dtype"):
        for n in sorted(set(of_dtype["n"])):
            yield f"{dtype}, n = {n}: {_beside_the_table(str(dtype), n, of_dtype[of_dtype['n'] == n])}"


def _beside_the_table(dtype: str, n: int, rows: pd.DataFrame) -> str:
    """The time with the table's length over that with the best one, native being one of the choices."""
    behind: dict[int, float] = {}
    for ratio in sorted(set(rows["ratio"])):
        here = rows[rows["ratio"] == ratio]
        over = {0: 1.0} | dict(zip(here["item"].astype(int), here["value"].astype(float), strict=True))
        behind[ratio] = over[table_length(dtype, n, ratio)] / min(over.values())
    worst = max(behind, key=lambda ratio: behind[ratio])
    return (
        f"the table's length takes {np.exp(np.mean(np.log([*behind.values()]))):.2f} of the time of the best one, "
        f"{behind[worst]:.2f} at worst (n/k = {worst})."
    )


def _ratio(rows: pd.DataFrame) -> pd.Series:
    return rows["detail"].str.extract(r"= (\d+)", expand=False).astype(int)


def _log_norm() -> Any:
    from matplotlib.colors import LogNorm

    return LogNorm(LENGTHS[0], LENGTHS[-1])
