"""blockmax beside torch.topk, in the same rounds: as fast as is promised, and nowhere slower.

A launch is a fresh process that prints a line a cell; the interval is Student's over launches of the medians of the
paired log-ratios. Run as a program it is one launch.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, astuple, dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch

from harness.device.clock import Clock
from harness.methods import method
from harness.methods.blockmax import fitted_length, fitted_sample
from harness.session.process import cores_for_workers
from harness.session.rounds import in_rounds
from harness.verdicts.ratios import intervals
from harness.vocabulary import ITEMSIZE
from tests.acceptance.line import Line

LAUNCHES = 4
MORE_LAUNCHES = 8
ROUNDS = 10
CELL_SECONDS = 0.3
FEWEST_ROUNDS = 3
LARGEST_BYTES = 2**26
THREADS = 2

SHARE, SECONDS = 0.05, 1e-6
"""How much slower than native it may be: so much of its time, and so many seconds."""


@dataclass(frozen=True)
class Cell:
    """One point of the grid; pattern: of the values, one of PATTERNS; threads: torch's, each on a core of its own."""

    dtype: str
    n: int
    k: int
    rows: int
    pattern: str = "normal"
    threads: int = 1

    @property
    def values(self) -> tuple[Any, ...]:
        """What the values of y depend on; cells that agree in it are measured on the same y."""
        return self.dtype, self.n, self.rows, self.pattern, self.k if self.pattern == "clustered" else 0


TOLD = (Cell("float32", 1_000_000, 100, 1), Cell("float32", 10_000_000, 100, 1), Cell("bfloat16", 1_000_000, 100, 1))
FASTER = dict(zip(TOLD, (5.0, 20.0, 4.0), strict=True))
READS = 2.5
BY = ("dtype", "n", "k", "rows", "pattern", "threads")


def _clustered(y: torch.Tensor, k: int) -> torch.Tensor:
    """The k largest of each row lie side by side, so that few blocks hold them all."""
    y[..., :k] = y[..., :k].abs() + 8
    return y


def _half_nan(y: torch.Tensor, _: int) -> torch.Tensor:
    return y.masked_fill_(y < 0, torch.nan)


PATTERNS: dict[str, Callable[[torch.Tensor, int], torch.Tensor]] = {
    "normal": lambda y, _: y,
    "constant": lambda y, _: y.fill_(1.0),
    "ascending": lambda y, _: y.sort(-1).values,
    "descending": lambda y, _: y.sort(-1, descending=True).values,
    "clustered": _clustered,
    "few values": lambda y, _: y.clamp_(-4, 4).round_(),
    "half NaN": _half_nan,
    "negative": lambda y, _: y.abs_().neg_(),
}
"""Normal values and k -> the values of a pattern; torch.topk takes 0.1 to 20 times as long for one as for another."""

ON_THREADS = ("normal", "constant")


def grid() -> list[Cell]:
    """n = 16..1e7, k = 1..n, rows = 1..1024, y up to 64 MiB.

    Where blockmax does more than call torch.topk, every pattern is there, and normal and constant values on two threads
    as well: torch.topk divides rows among threads, but never one row.
    """
    cells = {
        Cell(dtype, n, k, rows)
        for dtype in ("float32", "bfloat16")
        for n in (16, 1000, 16384, 65536, 1_000_000, 1 << 21, 10_000_000)
        for rows in (1, 32, 1024)
        for k in (1, 10, 100, n // 256, n // 64, n // 16, n // 8, n)
        if 1 <= k <= n and n * rows * ITEMSIZE[dtype] <= LARGEST_BYTES and k * rows <= 10_000_000
    }
    cells |= {replace(cell, pattern=pattern) for cell in cells for pattern in PATTERNS if _is_its_own(cell)}
    if len(cores_for_workers()) >= THREADS:
        cells |= {replace(cell, threads=THREADS) for cell in cells if _is_its_own(cell) and cell.pattern in ON_THREADS}
    return sorted({*cells, *TOLD}, key=lambda cell: (cell.n * cell.rows, cell.values, astuple(cell)))


def _is_its_own(cell: Cell) -> bool:
    """Whether blockmax makes blocks there, or leaves out what is below a threshold, before it calls torch.topk."""
    itemsize = ITEMSIZE[cell.dtype]
    blocks = fitted_length(itemsize, cell.n * cell.rows, cell.n, cell.k)
    return bool(blocks) or (cell.rows == 1 and fitted_sample(itemsize, cell.n, cell.k))


def measure() -> Iterator[Line]:
    """Speed-ups and reads of y of the cells that are told, and how many of the grid may be slower than is allowed.

    Cells whose limit passes what is allowed are measured again, by more launches: there the limit decides.
    """
    found = launches(grid(), LAUNCHES)
    ratio, reads = (intervals(found, [*BY], each).set_index([*BY]) for each in ("log_ratio", "log_reads"))
    for cell, bound in FASTER.items():
        key = astuple(cell)
        faster, read = np.exp(-ratio["high"])[key], np.exp(reads["high"])[key]
        yield Line(f"times faster than native, lower limit, {cell}", float(faster), bound, at_least=True)
        yield Line(f"reads of y, upper limit, {cell}", float(read), READS if cell == TOLD[1] else None)
    yield from on_threads(ratio["mean"])
    doubtful = [Cell(*key) for key in perhaps_slower(found).index]
    yield Line(f"of {len(ratio)} cells, perhaps slower than by {SHARE:.0%} and 1 us", len(doubtful), None)
    still = perhaps_slower(launches(doubtful, MORE_LAUNCHES)) if doubtful else pd.Series()
    told = "".join(f"; {key} {float(np.exp(mean)):.2f}" for key, mean in still.items())
    yield Line(f"of these, still so after {MORE_LAUNCHES} launches more{told}", len(still), 0.0)


def on_threads(ratio: pd.Series) -> Iterator[Line]:
    """How much more, or less, blockmax gains over native on two threads than on one: medians over cells."""
    wide = ratio.unstack("threads")
    if THREADS not in wide:
        return
    gained = (wide[1] - wide[THREADS]).dropna()
    for rows, group in gained.groupby(gained.index.get_level_values("rows") == 1):
        kind = "one row" if rows else "several rows"
        scale = float(np.exp(group.median()))
        yield Line(f"speed-up on {THREADS} threads over that on one, median of {len(group)} cells, {kind}", scale, None)


def perhaps_slower(found: pd.DataFrame) -> pd.Series:
    """Of the cells whose upper limit is not within what is allowed: the mean of the logarithm of the ratio."""
    ratio = intervals(found, [*BY], "log_ratio").set_index([*BY])
    allowed = np.log(1 + SHARE + SECONDS / found.groupby([*BY])["native"].median())
    return ratio.loc[~(ratio["high"] <= allowed.reindex(ratio.index)), "mean"]


def launches(cells: Sequence[Cell], count: int) -> pd.DataFrame:
    """So many launches of these cells: a row a cell and launch."""
    command = [sys.executable, "-m", "tests.acceptance.blockmax", json.dumps([astuple(cell) for cell in cells])]
    parts = []
    for number in range(count):
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        parts.append(pd.DataFrame([json.loads(line) for line in done.stdout.splitlines()]).assign(launch=number))
    return pd.concat(parts)


def main(cells: str) -> None:
    """Measure every one of the cells (JSON) and print it."""
    cores = cores_for_workers()
    generator = torch.Generator().manual_seed(0)
    for _, alike in itertools.groupby((Cell(*each) for each in json.loads(cells)), key=lambda cell: cell.values):
        cell, *others = alike
        shape = (cell.n,) if cell.rows == 1 else (cell.rows, cell.n)
        normal = torch.empty(shape, dtype=getattr(torch, cell.dtype)).normal_(generator=generator)
        y = PATTERNS[cell.pattern](normal, cell.k)
        for each in (cell, *others):
            torch.set_num_threads(each.threads)
            os.sched_setaffinity(0, cores[: each.threads])
            print(json.dumps(asdict(each) | timed(y, each.k)), flush=True)  # noqa: T201  (a program's own output)


def timed(y: Any, k: int) -> dict[str, float]:
    """Medians of the rounds: seconds of native, logarithms of blockmax over native and over a read of y."""
    read = method("read").implementation.apply
    calls: dict[str, Callable[[], Any]] = {"read": lambda: read(None, y)}  # type: ignore[misc]
    calls |= {name: partial(method(name).forward, y, k) for name in ("native", "blockmax")}
    begin = time.monotonic()
    ours, theirs = (calls[name]()[0] for name in ("blockmax", "native"))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0, equal_nan=True)
    seconds = max(CELL_SECONDS, FEWEST_ROUNDS * 2 * (time.monotonic() - begin))
    times = {name: np.array(each) for name, each in in_rounds(calls, Clock(), ROUNDS, seconds, seed=0).items()}
    ratio, reads = (float(np.median(np.log(times["blockmax"] / times[name]))) for name in ("native", "read"))
    return {"native": float(np.median(times["native"])), "log_ratio": ratio, "log_reads": reads}


if __name__ == "__main__":
    main(sys.argv[1])
