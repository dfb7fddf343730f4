"""What was measured on several devices, or by two clocks, is drawn apart: their times are never mixed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
import pytest

from harness.report.terminal import closing
from harness.scripts.drawing import draw_figures
from harness.study.cells import Case
from harness.tables import Run, by_device, read
from tests.recorded import record

SCRIPT = """
from matplotlib import pyplot as plt

def of_times(run):
    assert run.timings["device"].nunique() == run.cells["device"].nunique() == 1
    figure, axis = plt.subplots(figsize=(2, 1))
    axis.plot(run.timings["seconds"])
    return figure

def summary(run):
    yield f"{len(run.timings)} blocks on {run.timings['device'].iloc[0]}."

FIGURES = (of_times,)
"""


def test_the_rows_of_each_device_are_drawn_into_a_folder_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "recorded.py").write_text(SCRIPT)
    cases = (Case(n=64, k=4), Case(n=64, k=4, device="cuda"), Case(n=256, k=4, device="cuda"))
    run = read(record(tmp_path / "run", cases=cases, launches=2))
    parts = by_device(run)
    assert [set(each.timings["device"]) for each in parts] == [{"cpu"}, {"cuda"}]
    assert sum(len(each.timings) for each in parts) == len(run.timings)
    said: list[str] = []
    made = draw_figures(run, tmp_path, said.append)
    assert said == []
    assert made == [
        run.path / "figures" / device / name for device in ("cpu", "cuda") for name in ("of_times.png", "summary.md")
    ]
    told = [path.read_text() for path in made if path.name == "summary.md"]
    assert told == [
        "- On cpu, by the wall clock.\n- 18 blocks on cpu.\n",
        "- On cuda, by the wall clock.\n- 36 blocks on cuda.\n",
    ]


def by_both_clocks(folder: Path, shorter: Mapping[int, float], cases: Sequence[Case]) -> Run:
    """A run whose accelerator has a device clock too; n -> what that tells as a share of the wall clock."""
    run = read(record(folder, cases=cases, launches=2))
    wall = run.timings[run.timings["device"] != "cpu"]
    device = wall.assign(clock="device", seconds=wall["seconds"] * wall["n"].map(shorter))
    vars(run)["timings"] = pd.concat([run.timings, device], ignore_index=True)
    return run


ON_CUDA = (Case(n=64, k=4, device="cuda"), Case(n=256, k=4, device="cuda"))


def test_the_device_clock_comes_first_and_the_wall_clock_where_it_tells_otherwise(tmp_path: Path) -> None:
    run = by_both_clocks(tmp_path / "run", {64: 0.2, 256: 0.97}, ON_CUDA)
    first, second = by_device(run)
    assert [(each.setting, each.figures) for each in (first, second)] == [
        ("cuda, by the device clock", run.figures),
        ("cuda, by the wall clock", run.figures / "wall"),
    ]
    assert (set(first.timings["clock"]), set(first.timings["n"])) == ({"device"}, {64, 256})
    assert (set(second.timings["clock"]), set(second.timings["n"])) == ({"wall"}, {64})


@pytest.mark.parametrize("share", [0.92, 1.0])
def test_where_both_clocks_tell_alike_there_is_one(tmp_path: Path, share: float) -> None:
    run = by_both_clocks(tmp_path / "run", {64: share, 256: share}, ON_CUDA)
    parts = by_device(run)
    assert [set(each.timings["clock"]) for each in parts] == [{"device"}]
    assert [each.setting for each in parts] == ["cuda, by the device clock"]


def test_a_method_without_device_time_is_shown_by_the_wall_clock(tmp_path: Path) -> None:
    run = by_both_clocks(tmp_path / "run", {64: 1.0, 256: 1.0}, ON_CUDA)
    timings = run.timings
    gone = (timings["method"] == "gather") & (timings["clock"] == "device") & (timings["n"] == 256)
    vars(run)["timings"] = timings[~gone]
    first, second = by_device(run)
    assert set(first.timings.query("n == 256")["method"]) == {"native", "read"}
    assert set(second.timings["method"]) == {"native", "gather", "read"}
    assert set(second.timings["n"]) == {256}


def test_a_method_without_wall_time_is_no_reason_to_show_the_wall_clock(tmp_path: Path) -> None:
    run = by_both_clocks(tmp_path / "run", {64: 1.0, 256: 1.0}, ON_CUDA)
    timings = run.timings
    gone = (timings["method"] == "gather") & (timings["clock"] == "wall") & (timings["n"] == 256)
    vars(run)["timings"] = timings[~gone]
    assert [set(each.timings["clock"]) for each in by_device(run)] == [{"device"}]


def test_each_device_and_clock_has_a_block_of_the_closing_table(tmp_path: Path) -> None:
    run = by_both_clocks(tmp_path / "run", {64: 0.2, 256: 0.2}, (Case(n=64, k=4), *ON_CUDA))
    lines = list(closing(run, tmp_path, None))
    heads = [line for line in lines if line.endswith("clock:")]
    assert heads == ["cpu, by the wall clock:", "cuda, by the device clock:", "cuda, by the wall clock:"]
    told = [line for line in lines if "speed-up over native" in line]
    assert ["by the device clock" in line for line in told] == [False, True, False]
    assert ["by the wall clock" in line for line in told] == [False, False, True]


def test_a_fact_of_no_device_is_of_each(tmp_path: Path) -> None:
    run = by_both_clocks(tmp_path / "run", {64: 0.2, 256: 0.2}, (Case(n=64, k=4), *ON_CUDA))
    one = dict.fromkeys(run.facts.columns, "") | {
        "n": 1,
        "k": 1,
        "rows": 1,
        "d": 0,
        "seed": 0,
        "threads": 1,
        "value": 1.0,
    }
    run.__dict__["facts"] = pd.DataFrame([one | {"device": name} for name in ("", "cpu", "cuda")])
    assert {each.setting: list(each.facts["device"]) for each in by_device(run)} == {
        "cpu, by the wall clock": ["", "cpu"],
        "cuda, by the device clock": ["", "cuda"],
        "cuda, by the wall clock": ["", "cuda"],
    }


def test_a_run_of_one_device_is_drawn_as_it_is(tmp_path: Path) -> None:
    run = read(record(tmp_path / "run", launches=2))
    assert by_device(run) == [run]


def test_a_summary_that_fails_costs_no_figure(tmp_path: Path) -> None:
    script = SCRIPT + "\n\ndef summary(run):\n    raise KeyError('planted')\n"
    (tmp_path / "recorded.py").write_text(script)
    said: list[str] = []
    made = draw_figures(read(record(tmp_path / "run", launches=2)), tmp_path, said.append)
    assert [path.name for path in made] == ["of_times.png"]
    (line,) = said
    assert line == f"no summary: {tmp_path / 'recorded.py'}:{script.count(chr(10))}: KeyError: 'planted'"


@pytest.mark.parametrize("table", ["cells", "timings", "memory", "discrepancies", "facts"])
def test_every_table_of_a_part_has_the_columns_of_the_whole(tmp_path: Path, table: str) -> None:
    cases = (Case(n=64, k=4), Case(n=64, k=4, device="cuda"))
    run = read(record(tmp_path / "run", cases=cases, launches=1))
    assert [list(getattr(each, table)) for each in by_device(run)] == [list(getattr(run, table))] * 2
