"""blockmax beside torch.topk, in the same rounds: as fast as is promised, and nowhere slower.

A launch is a fresh process that prints a line a cell; the interval is Student's over launches of the medians of the
paired log-ratios. Run as a program it is one launch.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, astuple, dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch

from harness.measure.clock import Clock
from harness.measure.process import cores_for_workers
from harness.measure.rounds import in_rounds
from harness.methods import method
from harness.verdicts.ratios import intervals
from harness.vocabulary import ITEMSIZE
from tests.acceptance.line import Line

LAUNCHES = 4
ROUNDS = 10
CELL_SECONDS = 0.7
FEWEST_ROUNDS = 3
LARGEST_BYTES = 2**30

SHARE, SECONDS = 0.05, 1e-6
"""How much slower than native it may be: so much of its time, and so many seconds."""


@dataclass(frozen=True)
class Cell:
    """One point of the grid."""

    dtype: str
    n: int
    k: int
    rows: int


TOLD = (Cell("float32", 1_000_000, 100, 1), Cell("float32", 10_000_000, 100, 1), Cell("bfloat16", 1_000_000, 100, 1))
FASTER = dict(zip(TOLD, (5.0, 20.0, 4.0), strict=True))
READS = 2.5
BY = ("dtype", "n", "k", "rows")


def grid() -> list[Cell]:
    """n = 16..1e7, k = 1..n, rows = 1..4096, y up to 1 GiB."""
    cells = {
        Cell(dtype, n, k, rows)
        for dtype in ("float32", "bfloat16")
        for n in (16, 1000, 16384, 65536, 1_000_000, 10_000_000)
        for rows in (1, 32, 1024, 4096)
        for k in (1, 10, 100, n // 256, n // 16, n)
        if 1 <= k <= n and n * rows * ITEMSIZE[dtype] <= LARGEST_BYTES and k * rows <= 10_000_000
    }
    return sorted({*cells, *TOLD}, key=lambda cell: (cell.n * cell.rows, cell.k, cell.dtype))


def measure() -> Iterator[Line]:
    """Speed-ups and reads of y of the cells that are told, and how many of the grid may be slower than is allowed."""
    found = pd.concat([launch().assign(launch=number) for number in range(LAUNCHES)])
    ratio, reads = (intervals(found, [*BY], each).set_index([*BY]) for each in ("log_ratio", "log_reads"))
    for cell, bound in FASTER.items():
        key = astuple(cell)
        faster, read = np.exp(-ratio["high"])[key], np.exp(reads["high"])[key]
        yield Line(f"times faster than native, lower limit, {cell}", float(faster), bound, at_least=True)
        yield Line(f"reads of y, upper limit, {cell}", float(read), READS if cell == TOLD[1] else None)
    allowed = np.log(1 + SHARE + SECONDS / found.groupby([*BY])["native"].median())
    words: tuple[tuple[str, str, float | None], ...] = (("surely", "low", 0.0), ("perhaps", "high", None))
    for word, limit, most in words:
        slower = ratio[~(ratio[limit] <= allowed.reindex(ratio.index))]
        told = "".join(f"; {key} {float(np.exp(mean)):.2f}" for key, mean in slower["mean"].items())
        yield Line(f"of {len(ratio)} cells, {word} slower than by {SHARE:.0%} and 1 us{told}", len(slower), most)


def launch() -> pd.DataFrame:
    """One launch: a row a cell."""
    command = [sys.executable, "-m", "tests.acceptance.blockmax"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return pd.DataFrame([json.loads(line) for line in done.stdout.splitlines()])


def main() -> None:
    """Measure every cell of the grid and print it."""
    torch.set_num_threads(1)
    os.sched_setaffinity(0, cores_for_workers()[:1])
    generator = torch.Generator().manual_seed(0)
    for cell in grid():
        shape = (cell.n,) if cell.rows == 1 else (cell.rows, cell.n)
        y = torch.empty(shape, dtype=getattr(torch, cell.dtype)).normal_(generator=generator)
        print(json.dumps(asdict(cell) | timed(y, cell.k)), flush=True)  # noqa: T201  (a program's own output)


def timed(y: Any, k: int) -> dict[str, float]:
    """Medians of the rounds: seconds of native, logarithms of blockmax over native and over a read of y."""
    read = method("read").implementation.apply
    calls: dict[str, Callable[[], Any]] = {"read": lambda: read(None, y)}  # type: ignore[misc]
    calls |= {name: partial(method(name).forward, y, k) for name in ("native", "blockmax")}
    begin = time.monotonic()
    ours, theirs = (calls[name]()[0] for name in ("blockmax", "native"))
    assert torch.equal(ours, theirs), "not the k largest"
    seconds = max(CELL_SECONDS, FEWEST_ROUNDS * 2 * (time.monotonic() - begin))
    times = {name: np.array(each) for name, each in in_rounds(calls, Clock(), ROUNDS, seconds, seed=0).items()}
    ratio, reads = (float(np.median(np.log(times["blockmax"] / times[name]))) for name in ("native", "read"))
    return {"native": float(np.median(times["native"])), "log_ratio": ratio, "log_reads": reads}


if __name__ == "__main__":
    main()
