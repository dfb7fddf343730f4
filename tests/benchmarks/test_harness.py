"""What the harness itself costs: planning, a block around nothing, comparing, writing and reading."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import harness
from harness.device.clock import Clock
from harness.device.heap import Heap
from harness.planning.loading import known_names, plan_of
from harness.precision import metrics
from harness.session.sampler import Arm, sample
from harness.study.cells import Case
from harness.study.file import parse_study
from harness.tables import RunWriter, read
from tests.sidecar import SIDECAR

CELLS = 10_000
ENTRIES = 1 << 16
ROWS = 10_000


def timing_rows(number: int) -> list[dict[str, Any]]:
    case = Case(n=64, k=8)
    key = {"case": case.id, "method": "native"} | case.axes
    own = {
        "phase": "forward",
        "launch": 1,
        "position": 0,
        "calls": 10,
        "seconds": 1.0 / 3.0,
        "clock": "wall",
    }
    return [key | own | {"round": each} for each in range(number)]


def test_planning_10000_cells(benchmark: BenchmarkFixture) -> None:
    text = (
        f'title = "t"\nmethods = ["native"]\naxes = {{ n = {list(range(64, 164))}, k = 1, seed = {list(range(100))} }}'
    )
    plan = plan_of(parse_study(text, "t", "t.toml", known_names()))
    assert benchmark(lambda: sum(len(cells) for _, cells in plan)) == CELLS


def test_a_block_of_empty_calls(benchmark: BenchmarkFixture) -> None:
    clock = Clock()
    assert benchmark(clock.block, lambda: None, 1000) > 0


def test_a_round_of_ten_arms_that_do_nothing(benchmark: BenchmarkFixture) -> None:
    arms = [Arm(f"m{each}", "forward", 1, lambda: 1e-6) for each in range(10)]
    assert len(benchmark(lambda: list(sample(arms, 10, seed=0)))) == 100


@pytest.mark.parametrize("n", [1024, 1 << 20])
def test_new_memory_for_a_block(benchmark: BenchmarkFixture, n: int) -> None:
    y = harness.draw(Case(n=n, k=1)).y
    heap = Heap()
    assert benchmark(lambda: heap.fresh((y,)))[0].shape == y.shape


@pytest.mark.parametrize("name", sorted(metrics.METRICS))
def test_a_metric_of_65536_entries(benchmark: BenchmarkFixture, name: str) -> None:
    want = np.random.default_rng(0).standard_normal(ENTRIES)
    got = want.astype(np.float32).astype(np.float64)
    bound = np.full(ENTRIES, 1e-6)
    about: dict[str, Any] = {"size": np.abs(want), "bound": bound, "probable": bound, "native_error": 1e-7}
    found = benchmark(lambda: metrics.evaluate(name, metrics.Comparison(got, want, "float32", **about)))
    assert found is not None
    assert found >= 0


def test_writing_10000_rows(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    rows = {"timings": timing_rows(ROWS)}
    folders = (tmp_path / str(number) for number in itertools.count())

    def fresh() -> tuple[tuple[Path], dict[str, Any]]:
        folder = next(folders)
        folder.mkdir()
        return (folder,), {}

    def write(folder: Path) -> None:
        with RunWriter(folder, {}) as writer:
            writer.open()
            writer.commit(rows)

    benchmark.pedantic(write, setup=fresh, rounds=5)  # type: ignore[no-untyped-call]


def test_reading_10000_rows(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    with RunWriter(tmp_path, {}) as writer:
        writer.open()
        writer.commit({"timings": timing_rows(ROWS)})
    (tmp_path / "run.json").write_text(json.dumps(SIDECAR))
    assert len(benchmark(lambda: read(tmp_path).timings)) == ROWS
