"""What was measured on several devices is drawn apart: their times are never mixed."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.cells import Case
from harness.scripts import draw_figures
from harness.tables import by_device, read
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
    assert told == ["- 18 blocks on cpu.\n", "- 36 blocks on cuda.\n"]


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
