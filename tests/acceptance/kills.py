"""A small run killed at random moments, each time resumed: the same keys as undisturbed, no duplicate, no half line.

The group of the run is killed with SIGKILL, parent and worker at once. Of some, the end of a table is cut off besides,
as when it had not reached the disk: of the commit log anything, of another table what the log had not committed.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import harness
from harness.tables import Run
from tests.acceptance.line import Line
from tests.keys import KEYS, Keys, keys_of

KILLS = 200
CUT_SHARE = 0.3
SECONDS = 120.0
"""Until a run that is not killed is given up."""

ROOT = Path(__file__).parents[2]

HARNESS = (sys.executable, "-m", "harness")
"""What starts the command line."""

STUDY = """
title = "Killed"
methods = ["native", "gather"]
phases = ["forward"]
[axes]
n = [16, 64, 256]
k = [1, 4]
[timing]
block_seconds = 0.002
rounds = 8
launches = 2
"""


@dataclass(frozen=True)
class Killed:
    """What became of a run that was killed, of which `committed` rows of cells.csv were left, and resumed."""

    committed: int
    gaps: int
    duplicates: int
    half_lines: int
    failures: int


def measure() -> Iterator[Line]:
    """Counts over KILLS kills, and how many of them came while there was something to lose."""
    with tempfile.TemporaryDirectory() as folder:
        done = list(kills(KILLS, Path(folder), seed=0))
    for what in ("gaps", "duplicates", "half_lines", "failures"):
        yield Line(f"{what.replace('_', ' ')} after {len(done)} kills", sum(getattr(each, what) for each in done), 0)
    amid = sum(each.committed > 0 for each in done)
    yield Line("of these, kills after the first commit", amid, KILLS / 2, at_least=True)


def kills(count: int, folder: Path, seed: int) -> Iterator[Killed]:
    """So many runs in folders of their own, each killed, resumed, and held against one that was left alone."""
    (folder / "studies").mkdir()
    (folder / "studies" / "killed.toml").write_text(STUDY)
    run, lasted = undisturbed(folder)
    expected = keys_of(run)
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # each starts a process of its own, and waits for it
        yield from pool.map(
            lambda number: killed(folder / f"results{number}", expected, lasted, random.Random(f"{seed} {number}")),
            range(count),
        )


def undisturbed(folder: Path) -> tuple[Run, float]:
    """The run that the others are compared with, and its seconds since it had a folder."""
    results = folder / "results"
    process = begun(results, "killed")
    path = folder_of(results, process)
    begin = time.monotonic()
    if done := process.wait(SECONDS):
        raise RuntimeError(f"the run that nothing disturbs ended with {done}")
    return harness.read(path), time.monotonic() - begin


def folder_of(results: Path, process: subprocess.Popen[bytes]) -> Path:
    """The folder of a run once it has one: before, there is nothing to lose, and nothing to go on with."""
    deadline = time.monotonic() + SECONDS
    while not (found := [each.parent for each in results.glob("*/killed/*/run.json")]):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError("a run has no folder")
        time.sleep(0.005)
    return found[0]


def killed(results: Path, expected: Keys, lasted: float, rng: random.Random) -> Killed:
    """One run, killed within the time that one lasts, resumed until it ends."""
    process = begun(results, "killed")
    path = folder_of(results, process)
    time.sleep(rng.uniform(0, lasted))
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if json.loads((path / "run.json").read_text(encoding="utf-8"))["end"]:
        return compared(path, expected, rows_committed(path), failures=0)
    if rng.random() < CUT_SHARE:
        cut(path, rng)
    committed = rows_committed(path)
    return compared(path, expected, committed, failures=int(begun(results, "--resume", str(path)).wait(SECONDS) != 0))


def begun(results: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """`harness run` in a group of its own, silent."""
    return subprocess.Popen(
        [*HARNESS, "run", *arguments, "--results", results, "--studies", "studies"],
        cwd=results.parent,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def cut(path: Path, rng: random.Random) -> None:
    """Cut off the end of one table at a random byte."""
    table = path / f"{rng.choice([*KEYS])}.csv"
    if table.is_file():
        size = table.stat().st_size
        os.truncate(table, rng.randint(0 if table.stem == "cells" else bytes_committed(path, table), size))


def bytes_committed(path: Path, table: Path) -> int:
    """The bytes of a table up to the last of its rows whose case and launch the log has."""
    log = {*rows_of(path / "cells.csv")}
    rows = rows_of(table)
    kept = max((number for number, row in enumerate(rows, 1) if row in log or "" in row), default=0)
    return sum(len(line.encode()) + 1 for line in whole_lines(table)[: 1 + kept])


def rows_of(table: Path) -> list[tuple[str, str]]:
    """(case, launch) of every whole row; the launch is '' where a table has none: its rows are all kept."""
    header, *lines = [line.split(",") for line in whole_lines(table)] or [[]]
    place = header.index("launch") if "launch" in header else None
    return [(words[0], "" if place is None else words[place]) for words in lines]


def whole_lines(table: Path) -> list[str]:
    """The lines of a table that are whole; none where there is no table."""
    return table.read_bytes().decode().split("\n")[:-1] if table.is_file() else []


def rows_committed(path: Path) -> int:
    """Whole rows of the log."""
    return len(rows_of(path / "cells.csv"))


def compared(path: Path, expected: Keys, committed: int, failures: int) -> Killed:
    """What is wrong with a run that has been resumed."""
    half_lines = sum(not (path / f"{table}.csv").read_bytes().endswith(b"\n") for table in KEYS)
    if failures:
        return Killed(committed, 0, 0, half_lines, failures)
    found = keys_of(harness.read(path))
    gaps = sum(len(expected[table].keys() ^ found[table].keys()) for table in KEYS)
    duplicates = sum(count - 1 for table in KEYS for count in found[table].values())
    return Killed(committed, gaps, duplicates, half_lines, failures)
