"""Large studies: what is kept in memory does not grow with the cells, and what is done grows as they do. By counts and
bytes; the seconds are told by `make acceptance`."""

from __future__ import annotations

import cProfile
import json
import math
import pstats
import tracemalloc
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from matplotlib import pyplot

import harness
from harness.errors import Interrupted, UserError
from harness.planning.forecast import KEPT_REASONS, SHOWN_SKIPS
from harness.scripts.studies import load_script
from harness.study.cells import Case
from harness.study.plan import SHOWN_NOTES
from harness.tables import Run, RunWriter, checked, files, reading, recover
from harness.vocabulary import STUDIES
from tests.keys import keys_of
from tests.large import instant_workers, peak_of_planning, plan_of_many, requests_of_a_case, study_of
from tests.recorded import record
from tests.sidecar import SIDECAR

MEGABYTE = 1e6


# Planning


def test_a_plan_of_many_cells_is_told_in_the_memory_of_a_plan_of_few() -> None:
    peak_of_planning(100)  # what is imported and cached once is no part of it
    few, _ = peak_of_planning(1000)
    many, told = peak_of_planning(60_000)
    assert many < few + MEGABYTE / 2
    assert f"{244 * 245 // 2} cases, {244 * 245} cells (0 to measure, {244 * 245} to skip) x 1 launch" in told
    assert told[-1].endswith(f"more, for over {KEPT_REASONS - SHOWN_SKIPS} more reasons")  # and no time is expected
    skipped = sum(int(line.split()[1].rstrip(":")) for line in told if line.startswith("skip"))
    assert skipped == 244 * 245


def test_of_many_values_of_k_that_give_no_case_it_is_said_how_many() -> None:
    *told, more = plan_of_many(100).notes
    assert len(told) == SHOWN_NOTES
    assert more == f"and {10 * 9 // 2 - SHOWN_NOTES} more values of k, dropped or merged"
    assert len(plan_of_many(36).notes) == 6 * 5 // 2


# Resuming


def rows(case: Case, launch: int, table: str, count: int, method: str = "native") -> list[dict[str, Any]]:
    own: dict[str, Any] = {
        "cells": {"status": "ok", "reason": 'a "b", c', "machine": "m", "predicted_bytes": 1, "wall_seconds": 0.5}
        | {"compile_seconds": math.nan},
        "timings": {"phase": "forward", "round": 0, "position": 0, "calls": 1, "seconds": 1 / 3} | {"clock": "wall"},
        "discrepancies": {"tensor": "dx", "of": "method", "reference": "exact", "metric": "ulp_max", "value": 0.5},
    }[table]
    return [{"case": case.id, "method": method, **case.axes, "launch": launch} | own] * count


CASES = [Case(n=64, k=4, seed=seed) for seed in range(5)]
PLANNED = {case.id: 1 for case in CASES}
FEW, MANY = 3, 4000
"""Blocks of a case in a launch."""


def write_run(folder: Path, launches: int = 2, blocks: int = FEW) -> None:
    (folder / "run.json").write_text(json.dumps(SIDECAR))
    with RunWriter(folder, {}) as writer:
        writer.open()
        for launch in range(1, launches + 1):
            for case in CASES:
                timed = {"timings": rows(case, launch, "timings", blocks)}
                found = {"discrepancies": rows(case, launch, "discrepancies", 10) if launch == 1 else []}
                writer.commit(timed | found | {"cells": rows(case, launch, "cells", 1)})


def peak_of(call: Callable[[], Any]) -> int:
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_large_run_is_resumed_line_by_line(tmp_path: Path) -> None:
    write_run(tmp_path, blocks=MANY)
    timings = tmp_path / "timings.csv"
    before, written = timings.read_bytes(), timings.stat()
    assert len(before) > 3 * MEGABYTE
    assert peak_of(lambda: recover(tmp_path, PLANNED)) < MEGABYTE / 4
    after = timings.stat()
    assert (after.st_ino, after.st_mtime_ns) == (written.st_ino, written.st_mtime_ns)
    lacking = {CASES[0].id: 2, CASES[3].id: 2}
    assert peak_of(lambda: recover(tmp_path, PLANNED | lacking)) < MEGABYTE / 4
    header, *lines = before.splitlines(keepends=True)
    assert timings.read_bytes() == b"".join([header, *(line for line in lines if line[:12].decode() not in lacking)])
    assert not list(tmp_path.glob("*.partial"))


def test_a_line_is_kept_to_the_byte_whatever_its_fields_hold(tmp_path: Path) -> None:
    """Commas and quotes before the launch, and a number as another hand would have written it."""
    case = Case(n=64, k=4, parameters=(("note", 'a,"b",1,é'),))
    (tmp_path / "run.json").write_text(json.dumps(SIDECAR))
    with RunWriter(tmp_path, {"note": str}) as writer:
        writer.open()
        for launch in (1, 2):
            writer.commit({"cells": rows(case, launch, "cells", 1, method='m,"1",')})
    path = tmp_path / "cells.csv"
    path.write_text(path.read_text().replace(",0.5,", ",5e-1,"))
    before = path.read_bytes()
    assert recover(tmp_path, {case.id: 1}) == {(1, case.id), (2, case.id)}
    assert path.read_bytes() == before
    with path.open("ab") as file:
        file.write(before.splitlines(keepends=True)[-1].replace(case.id.encode(), b"0" * 12) + b"\n")
    recover(tmp_path, {case.id: 1, "0" * 12: 2})
    assert path.read_bytes() == before


@pytest.mark.parametrize("length", [1, 99, 100, 101, 250])
def test_a_half_line_of_any_length_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, length: int) -> None:
    monkeypatch.setattr(files, "BLOCK_BYTES", 100)
    write_run(tmp_path, launches=1)
    path = tmp_path / "facts.csv"
    for whole in (b"", b"a\n", b"a\n" + b"b" * 99 + b"\n"):
        path.write_bytes(whole + b"x" * length)
        recover(tmp_path, PLANNED)
        assert path.read_bytes() == whole


@pytest.mark.parametrize(
    ("table", "damage", "line"),
    [
        ("cells", lambda text: text.replace("launch", "lunch", 1).replace("case", "casus", 1), 1),
        ("timings", lambda text: text.replace("case", "casus", 1), 1),
        ("cells", lambda text: text.replace(",2,ok", ",two,ok", 1), 7),
        ("cells", lambda text: text + "abc\n", 12),
        ("timings", lambda text: text + "\udcff\n", 2 + 2 * 5 * FEW),
    ],
)
def test_a_damaged_table_is_not_resumed_but_told_in_one_line(
    tmp_path: Path, table: str, damage: Callable[[str], str], line: int
) -> None:
    write_run(tmp_path)
    path = tmp_path / f"{table}.csv"
    path.write_text(damage(path.read_text()), errors="surrogateescape")
    before = path.read_bytes()
    with pytest.raises(UserError) as caught:
        recover(tmp_path, PLANNED)
    assert str(caught.value).startswith(f"{path}: line {line} is damaged")
    assert len(str(caught.value).splitlines()) == 1
    assert path.read_bytes() == before


def test_a_line_left_empty_is_no_damage(tmp_path: Path) -> None:
    write_run(tmp_path, launches=1)
    with (tmp_path / "cells.csv").open("a") as file:
        file.write("\n")
    assert recover(tmp_path, PLANNED) == {(1, case.id) for case in CASES}


# Running

REQUESTS = requests_of_a_case(rounds=1)


def run_of(cells: int, folder: Path, **options: Any) -> Run:
    with instant_workers():
        return harness.run(study_of(cells, **options), folder, say=lambda _: None)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each file was read as a table."""
    counts: Counter[str] = Counter()

    def counting(path: Path, *arguments: Any) -> Any:
        counts[path.name] += 1
        return checked.read_table(path, *arguments)

    monkeypatch.setattr(reading, "read_table", counting)
    return counts


def test_a_run_that_was_stopped_half_way_is_resumed_by_the_cells_that_it_lacks(
    tmp_path: Path, reads: Counter[str]
) -> None:
    whole = run_of(40, tmp_path / "whole", launches=2, rounds=1)
    reads.clear()
    with instant_workers(limit=15 * REQUESTS + 3), pytest.raises(Interrupted):
        harness.run(study_of(40, 2, 1), tmp_path, say=lambda _: None)
    (stopped,) = tmp_path.glob("*/large/*")
    assert reads == {"cells.csv": 1}
    with instant_workers(limit=5 * REQUESTS):
        resumed = harness.resume(stopped, studies=tmp_path, say=lambda _: None)
    assert keys_of(resumed) == keys_of(whole)


def test_tables_are_read_as_often_however_many_launches_and_the_times_once_a_look(
    tmp_path: Path, reads: Counter[str]
) -> None:
    run_of(8, tmp_path, launches=1, rounds=1)
    first = dict(reads)
    once = ("timings", "memory", "discrepancies", "instructions", "facts")
    assert first == {"cells.csv": 2} | {f"{name}.csv": 1 for name in once}
    reads.clear()
    run_of(8, tmp_path, launches=7, rounds=1, timing="width = 1e-9")
    assert reads == first | {"timings.csv": 1 + 2}  # before launches 4 and 6


def test_the_work_of_a_run_grows_as_its_cells(tmp_path: Path) -> None:
    def calls(cells: int) -> int:
        profile = cProfile.Profile()
        profile.runcall(run_of, cells, tmp_path, rounds=1)
        total: int = vars(pstats.Stats(profile))["total_calls"]
        return total

    calls(4)
    none, once, four_times = calls(4), calls(100), calls(400)
    assert (four_times - none) / (once - none) < 4.3


# Drawing


def test_no_interval_is_drawn_by_lot_beside_those_over_launches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """seaborn would draw a thousand samples for a band wherever a line has two cells at one n."""

    def drawn(*_: object, **__: object) -> None:
        raise AssertionError("a band was asked for")

    monkeypatch.setattr("seaborn._statistics.bootstrap", drawn)
    cases = [Case(n=n, k=4, d=d) for n in (64, 256) for d in (8, 16)]
    run = reading.read(record(tmp_path / "run", launches=2, cases=cases))
    of_name = {each.__name__: each for each in load_script("speed", STUDIES).figures}
    for name in ("speedup", "read_multiples"):
        pyplot.close(of_name[name](run))
