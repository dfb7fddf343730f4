"""What a person reads of a run and of a plan, and the figures of a study."""

from __future__ import annotations

import json
import math
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import harness
from harness.cli.listing import listing
from harness.errors import UserError
from harness.methods import registered
from harness.planning.forecast import SHOWN_SKIPS, forecast
from harness.planning.loading import plan_of
from harness.precision import registered_metrics
from harness.report import terminal
from harness.report.terminal import CLOSING_LINES, NAMED_CELLS, closing, closing_table
from harness.scripts.drawing import draw_figures
from harness.scripts.studies import load_script
from harness.study.cells import Case
from harness.study.definition import Study
from harness.tables import Run, RunWriter, read
from harness.topk.distributions import DISTRIBUTIONS
from harness.vocabulary import STUDIES
from tests.sidecar import SIDECAR

WriteStudy = Callable[[str], Study]

CASES = (Case(n=64, k=4), Case(n=128, k=4))
SPEED = {"native": (1.0, 1.0), "dense": (4.0, 2.0), "read": (0.5, 0.5)}
"""method -> seconds of a forward in each case."""

ERROR = {"native": (0.5, 0.25), "dense": (0.125, 2.0)}
FLIPS = {"native": (1.0, 2.0), "dense": (0.0, 0.0)}


def run_by_hand(folder: Path, statuses: dict[str, tuple[str, str]], *, timed: bool) -> Run:
    """A run of two cases, with these statuses of each method."""
    (folder / "run.json").write_text(json.dumps(SIDECAR))
    cell: dict[str, Any] = {"launch": 1, "machine": "m", "predicted_bytes": 1, "wall_seconds": 0.5}
    cell["compile_seconds"] = math.nan
    block: dict[str, Any] = {"phase": "forward", "launch": 1, "round": 0, "position": 0, "calls": 1}
    block["clock"] = "wall"
    error: dict[str, Any] = {"launch": 1, "tensor": "values", "of": "method", "reference": "exact"}
    with RunWriter(folder, {}) as writer:
        writer.open()
        for number, case in enumerate(CASES):
            keys: dict[str, dict[str, Any]] = {
                method: {"case": case.id, "method": method, **case.axes} for method in statuses
            }
            figures = [
                keys[method] | error | {"metric": metric, "value": values[method][number]}
                for metric, values in (("rel_l2", ERROR), ("flips", FLIPS))
                for method in ERROR
            ]
            theirs = [figures[0] | {"of": "native", "value": 99.0}]
            times = [keys[method] | block | {"seconds": SPEED[method][number]} for method in SPEED]
            writer.commit(
                {
                    "cells": [
                        keys[method]
                        | cell
                        | {"status": each[number], "reason": "" if each[number] == "ok" else "because"}
                        for method, each in statuses.items()
                    ],
                    "timings": times if timed else [],
                    "discrepancies": figures + theirs,
                }
            )
    return read(folder)


STATUSES = {
    "native": ("ok", "ok"),
    "dense": ("ok", "skipped"),
    "null": ("crashed", "unsupported"),
    "read": ("ok", "ok"),
}


def words_by_method(table: str) -> dict[str, str]:
    return {line.split()[0]: line for line in table.splitlines()[2:]}


def test_the_closing_table_has_a_line_a_method_with_statuses_speed_and_errors(tmp_path: Path) -> None:
    table = closing_table(run_by_hand(tmp_path, STATUSES, timed=True))
    lines = words_by_method(table)
    assert list(lines) == ["native", "dense", "null"]
    assert "2 ok" in lines["native"]
    assert "1 ok, 1 skipped" in lines["dense"]
    assert "1 crashed, 1 unsupported" in lines["null"]
    assert lines["native"].split()[1:5] == ["-", "-", "5.0e-01", "3"]
    assert lines["dense"].split()[1:5] == ["0.25x", "0.50x", "2.0e+00", "0"]
    assert lines["null"].split()[1:5] == ["-", "-", "-", "-"]
    told, head = table.splitlines()[:2]
    assert re.split(r" {2,}", head.strip()) == [
        "forward n=64",
        "forward n=128",
        "rel_l2, exact",
        "flips, exact",
        "cells",
    ]
    assert told == (
        "trial: speed-up over native (1 launch: no interval; run with --launches 3) at k=4 rows=1 d=0 float32 cpu; "
        "rel_l2: worst of all cells, flips: sum of all cells"
    )


def test_an_error_that_is_nan_is_the_worst(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ERROR, "dense", (0.125, math.nan))
    lines = words_by_method(closing_table(run_by_hand(tmp_path, STATUSES, timed=False)))
    assert lines["dense"].split()[1] == "nan"


def test_a_run_that_timed_nothing_has_no_speed_in_its_closing_table(tmp_path: Path) -> None:
    table = closing_table(run_by_hand(tmp_path, STATUSES, timed=False))
    assert table.startswith("trial: rel_l2: worst of all cells, flips: sum of all cells\n")
    assert "native (" not in table
    assert "2.0e+00" in words_by_method(table)["dense"]


@pytest.mark.parametrize("count", [CLOSING_LINES - 1, CLOSING_LINES, 25])
def test_of_more_methods_than_fit_it_says_how_many_are_left_out(tmp_path: Path, count: int) -> None:
    statuses = dict.fromkeys(("native", "dense", "read", *(f"m{n}" for n in range(count - 2))), ("ok", "ok"))
    lines = closing_table(run_by_hand(tmp_path, statuses, timed=True)).splitlines()[1:]
    assert len(lines) == CLOSING_LINES == 10
    shown = len(lines) - 1 if count < CLOSING_LINES else len(lines) - 2
    assert [line.split()[0] for line in lines[1 : 1 + shown]] == [name for name in statuses if name != "read"][:shown]
    more = f"... and {count - shown} more methods: `harness export --to markdown` shows all"
    assert (lines[-1] == more) == (count >= CLOSING_LINES)


def test_a_measured_run_closes_with_a_line_for_each_of_its_methods(smoke: Run) -> None:
    table = closing_table(smoke)
    assert set(words_by_method(table)) == set(harness.load_study("studies/smoke.toml").methods)
    assert len(table.splitlines()) <= 1 + CLOSING_LINES
    assert "(2 launches: no interval; run with --launches 3) at k=4|64 rows=1 d=16 float32 cpu" in table.splitlines()[0]


@pytest.mark.parametrize(("width", "phases"), [(1000, ["pipeline", "backward"]), (1, ["pipeline"])])
def test_a_table_that_is_too_wide_loses_what_it_can_do_without(
    smoke: Run, monkeypatch: pytest.MonkeyPatch, width: int, phases: list[str]
) -> None:
    monkeypatch.setattr(terminal, "WIDTH", width)
    told, head, *_ = closing_table(smoke).splitlines()
    names = re.split(r" {2,}", head.strip())
    assert names[: 2 + len(phases)] == ["forward n=64", "forward n=1024", *(f"{phase} n=1024" for phase in phases)]
    assert names[2 + len(phases)] == "rel_l2, native"
    assert "k=4|64" in told


def closed(run: Run, studies: Path = STUDIES, figures: int | None = None) -> list[str]:
    return list(closing(run, studies, figures))


def test_a_run_closes_with_its_files_and_what_to_do_next(smoke: Run, tmp_path: Path) -> None:
    folder = str(smoke.path)
    files, following = closed(smoke)[-2:]
    assert files == f"files: {folder}"
    assert (
        following == f"next: `harness report {folder}` (a page for the browser), `harness plot {folder}` (its figures)"
    )
    assert closed(smoke, figures=2)[-2:] == [
        f"files: {folder}, 2 figures in figures/",
        f"next: `harness report {folder}` (a page for the browser)",
    ]
    assert f"`harness plot {folder} --studies {tmp_path}`" in closed(smoke, tmp_path)[-1]


def test_the_newest_run_of_a_study_is_named_by_its_study(
    smoke: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = [Path(f"results/here/smoke/2026010{day}T000000Z_0") for day in (1, 2)]
    monkeypatch.chdir(tmp_path)
    for folder in folders:
        shutil.copytree(smoke.path, folder)
    assert "`harness report smoke`" in closed(read(folders[1]))[-1]
    assert f"`harness report {folders[0]}`" in closed(read(folders[0]))[-1]


def test_a_run_with_broken_cells_says_which_rows_they_are(tmp_path: Path) -> None:
    run = run_by_hand(tmp_path, STATUSES | {"wrong": ("incorrect", "ok")}, timed=True)
    (line,) = (each for each in closed(run) if each.startswith("broken"))
    assert "2 cells, so exit code 4" in line
    for row, method in re.findall(r"row (\d+) \((\w+)", line):
        assert (tmp_path / "cells.csv").read_text().splitlines()[int(row) - 1].split(",")[1] == method
    assert line.count("row ") == 2
    (tmp_path / "fine").mkdir()
    fine = run_by_hand(tmp_path / "fine", dict.fromkeys(STATUSES, ("ok", "ok")), timed=True)
    assert not any(each.startswith("broken") for each in closed(fine))


def test_what_torch_refused_is_told_with_its_reason(tmp_path: Path) -> None:
    statuses = STATUSES | {"refused": ("unsupported", "unsupported")}
    assert "refused, null: 3 cells unsupported: because" in closed(run_by_hand(tmp_path, statuses, timed=True))


def test_reasons_of_everything_that_has_no_figures_are_grouped_and_counted(tmp_path: Path) -> None:
    """Skipped, crashed and incorrect cells too: what a person would look for in cells.csv."""
    statuses = STATUSES | {"wrong": ("incorrect", "ok"), "late": ("skipped", "skipped"), "bad": ("incorrect", "ok")}
    lines = closed(run_by_hand(tmp_path, statuses, timed=True))
    told = [line for line in lines if line.endswith(": because")]
    assert told == [
        "wrong, bad: 2 cells incorrect: because",  # the gravest first
        "null: 1 cell crashed: because",
        "late, dense: 3 cells skipped: because",
        "null: 1 cell unsupported: because",
    ]


def test_of_many_broken_cells_the_first_are_named(tmp_path: Path) -> None:
    statuses = STATUSES | dict.fromkeys("abcde", ("crashed", "crashed"))
    (line,) = (each for each in closed(run_by_hand(tmp_path, statuses, timed=True)) if each.startswith("broken"))
    assert line.count("row ") == NAMED_CELLS
    assert line.endswith(f"; and {11 - NAMED_CELLS} more")


HEAD = 'title = "Trial"\nmethods = ["native", "dense"]\n'


def test_a_forecast_counts_what_there_is_to_measure_and_to_skip(write_study: WriteStudy) -> None:
    text = HEAD + '[axes]\nn = [64, 4096]\nk = [16, 64, 5000]\n[timing]\nlaunches = 4\n[limits]\nmemory = "1 MB"'
    lines = list(forecast(plan_of(write_study(text))))
    assert "n = 4096: k = 5000 is 5000, dropped (1 <= k <= n)" in lines
    # native, dense, copy and read in each case; bytes of y, dy, values and S
    assert "4 cases, 16 cells (15 to measure, 1 to skip) x 4 launches" in lines
    assert f"skip 1: dense: needs {4 * (2 * 4096 + 64 + 64 * 4096)} bytes, over limits.memory = 1000000" in lines
    assert f"largest cell: {4 * (2 * 4096 + 16 + 16 * 4096)} bytes (dense, n = 4096, k = 16, float32)" in lines
    assert lines[-1].startswith("expected time: about ")


def test_a_forecast_says_what_depends_on_the_machine(write_study: WriteStudy) -> None:
    text = HEAD + '[axes]\nn = [4, 8]\nk = 1\ndevice = ["cpu", "cuda"]\n[timing]\nrounds = 1000'
    lines = list(forecast(plan_of(write_study(text))))
    assert [line for line in lines if "present" in line] == ["cuda: its 8 cells are measured if it is present"]
    found = re.fullmatch(r"(expected time: about (\d+) s); with cuda about (\d+) s", lines[-1])
    assert found is not None
    assert int(found[2]) < int(found[3])
    assert list(forecast(plan_of(write_study(text.replace(', "cuda"', "")))))[-1] == found[1]


def test_a_budget_holds_for_what_is_there(write_study: WriteStudy) -> None:
    text = HEAD + '[axes]\nn = 4\nk = 1\ndevice = "cuda"\n[timing]\nbudget_seconds = 1'
    (line,) = [each for each in forecast(plan_of(write_study(text))) if each.startswith("expected")]
    assert re.fullmatch(r"expected time: 1 s, the budget \(about \d+ s without it\)", line)


EXCLUDING = (
    HEAD.replace('"dense"', '"dense", "fused"')
    + """
[axes]
n = [64, 128]
k = [4, 100, 200]
rows = [1, 2]
d = [0, 2]
transform = ["eager", "inference", "vmap"]
[timing]
[[exclude]]
method = ["dense", "copy"]
n = 128
[[exclude]]
n = 128
rows = 2
[[exclude]]
n = 64
seed = 0
"""
)


def test_a_forecast_has_a_reason_for_every_cell_that_is_left_out(write_study: WriteStudy) -> None:
    plan = plan_of(write_study(EXCLUDING + '[limits]\nmemory = "2 kB"'))
    lines = list(forecast(plan))
    assert lines[:6] == [
        "n = 64: k = 100 is 100, dropped (1 <= k <= n)",
        "n = 64: k = 200 is 200, dropped (1 <= k <= n)",
        "n = 128: k = 200 is 200, dropped (1 <= k <= n)",
        "d = 0: fused has no phase that works without W and x, dropped",
        "transform = inference: fused has no phase without gradients, dropped",
        "rows = 1: vmap has no rows to map over, dropped",
    ]
    excluded = {line.partition(": ")[2]: int(line.split()[1].strip(":")) for line in lines if line[:4] == "excl"}
    points = [(k, rows, d, way) for k in (4, 100) for rows in (1, 2) for d in (0, 2) for way in range(3)]
    there = [(rows, d, way) for _, rows, d, way in points if not (way == 2 and rows == 1)]
    fused = sum(d > 0 and way != 1 for _, d, way in there)
    late = [(rows, d, way) for rows, d, way in there if rows == 2]
    assert excluded == {
        "method = dense, copy; n = 128": 2 * len(there),
        "n = 128; rows = 2": 2 * len(late) + sum(d > 0 and way != 1 for _, d, way in late),
        "n = 64; seed = 0": (4 * len(there) + fused) // 2,  # k = 100 is over n
    }
    planned = sum(len(cells) for _, cells in plan)
    every = 4 * len(there) + fused + (4 * len(there) + fused) // 2
    assert planned == every - sum(excluded.values())
    skipped = sum(bool(cell.skip) for _, cells in plan for cell in cells)
    assert 0 < skipped == sum(int(line.split()[1].strip(":")) for line in lines if line.startswith("skip"))
    assert all("over limits.memory = 2000" in line for line in lines if line.startswith("skip"))


def test_a_method_without_a_phase_that_is_timed_is_told(write_study: WriteStudy) -> None:
    text = HEAD.replace('"dense"', '"fused"') + "[axes]\nn = 64\nk = [1, 2]\nd = 2\n[timing]\n"
    assert not any("only check" in line for line in forecast(plan_of(write_study(text))))
    lines = list(forecast(plan_of(write_study('phases = ["forward"]\n' + text))))
    assert "only check 2: fused has none of the phases that are timed there" in lines


def test_a_forecast_of_nothing_says_so(write_study: WriteStudy) -> None:
    lines = list(forecast(plan_of(write_study(HEAD + "[axes]\nn = 4\nk = 8"))))
    assert "nothing to measure" in lines
    assert any(line.startswith("0 cases, 0 cells") for line in lines)


def test_a_forecast_shows_ten_reasons_and_counts_the_others(write_study: WriteStudy) -> None:
    sizes = [1000 + n for n in range(SHOWN_SKIPS + 3)]
    text = f"{HEAD}[axes]\nn = {sizes}\nk = 1\nseed = [0, 1]\n[limits]\nmemory = 1"
    lines = list(forecast(plan_of(write_study(text))))
    skips = [line for line in lines if line.startswith("skip")]
    assert len(skips) == SHOWN_SKIPS + 1
    reasons = 2 * len(sizes)
    assert skips[-1] == f"skip {2 * (reasons - SHOWN_SKIPS)} more, for {reasons - SHOWN_SKIPS} more reasons"


def test_the_expected_time_grows_with_the_work_and_ends_at_the_budget(write_study: WriteStudy) -> None:
    def seconds(timing: str) -> float:
        line = list(forecast(plan_of(write_study(f"{HEAD}[axes]\nn = 64\n[timing]\n{timing}"))))[-1]
        return float(line.partition("expected time: ")[2].removeprefix("about ").split()[0])

    assert seconds("launches = 1") < seconds("launches = 9") < seconds("launches = 9\nrounds = 1000")
    assert seconds("launches = 9\nrounds = 1000\nbudget_seconds = 30") == 30


def test_the_listing_names_everything_that_is_registered() -> None:
    headings: dict[str, list[str]] = {}
    heading = ""
    for line in listing(Path("studies")):
        if line.startswith("  "):
            assert len(line.split()) > 1, f"{line}: no summary"
            headings[heading].append(line.split()[0])
        else:
            heading = line.rstrip(":")
            headings[heading] = []
    assert headings == {
        "studies": sorted(path.stem for path in Path("studies").glob("*.toml")),
        "methods": list(registered()),
        "distributions": list(DISTRIBUTIONS),
        "metrics": list(registered_metrics()),
    }


def test_a_study_that_cannot_be_read_is_listed_all_the_same(tmp_path: Path) -> None:
    for text in ("title =", "title = " + "[" * 5000):
        (tmp_path / "broken.toml").write_text(text)
        assert [line.split(maxsplit=1) for line in listing(tmp_path) if "broken" in line] == [
            ["broken", "(cannot be read)"]
        ]
    assert next(listing(tmp_path / "nowhere")) == "studies:"


def test_every_figure_is_drawn_and_the_same_rows_give_the_same_bytes(smoke: Run, tmp_path: Path) -> None:
    run = read(shutil.copytree(smoke.path, tmp_path / "run"))
    names = {function.__name__ for function in load_script("smoke", Path("studies")).figures}
    made = draw_figures(run, Path("studies"))
    assert made == [run.path / "figures" / f"{name}.png" for name in (path.stem for path in made)]
    drawn = {path.name: path.read_bytes() for path in (run.path / "figures").iterdir()}
    assert set(drawn) == {f"{name}.{kind}" for name in names for kind in ("svg", "png")}
    assert all(data.startswith(b"\x89PNG") for name, data in drawn.items() if name.endswith("png"))
    draw_figures(read(run.path), Path("studies"))
    again = {path.name: path.read_bytes() for path in (run.path / "figures").iterdir()}
    assert [name for name in drawn if name.endswith("svg") and drawn[name] != again[name]] == []


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("import nowhere", "smoke.py:1: ModuleNotFoundError: No module named 'nowhere'"),
        ("def f(:\n", "smoke.py:1: SyntaxError: "),
        ("x = 1\nx.y\n", "smoke.py:2: AttributeError: "),
        ("import sys\nsys.exit(0)\n", "smoke.py:2: SystemExit: 0"),
        ("raise SystemExit('no licence')", "smoke.py:1: SystemExit: no licence"),
        ("def one(run):\n    pass\nFIGURES = one\n", "smoke.py: FIGURES must be a list or a tuple of functions"),
        ("FIGURES = ['one']\n", "smoke.py: FIGURES must be a list or a tuple of functions"),
        ("import functools\nDARK = (functools.partial(print),)\n", "smoke.py: DARK must be a list or a tuple"),
        (
            "def made(name):\n    def draw(run):\n        pass\n    return draw\nFIGURES = (made(1), made(2))\n",
            "smoke.py: FIGURES has several functions called 'draw': a figure's file has that name",
        ),
    ],
)
def test_a_script_that_fails_is_the_fault_of_its_author_and_says_where(
    smoke: Run, tmp_path: Path, script: str, told: str
) -> None:
    (tmp_path / "smoke.py").write_text(script)
    with pytest.raises(UserError, match=re.escape(str(tmp_path / told))):
        draw_figures(read(shutil.copytree(smoke.path, tmp_path / "run")), tmp_path)


def test_a_figure_that_fails_is_told_with_its_line_and_the_others_are_drawn(smoke: Run, tmp_path: Path) -> None:
    (tmp_path / "smoke.py").write_text(
        "from matplotlib import pyplot\n"
        "def bad(run):\n    return run.timings['no_such_column']\n"
        "def none(run):\n    pass\n"
        "def ends(run):\n    raise SystemExit\n"
        "def good(run):\n    return pyplot.figure()\n"
        "FIGURES = (bad, none, ends, good)\n"
    )
    said: list[str] = []
    made = draw_figures(read(shutil.copytree(smoke.path, tmp_path / "run")), tmp_path, said.append)
    assert [path.stem for path in made] == ["good"]
    assert said == [
        f"no figure bad: {tmp_path / 'smoke.py'}:3: KeyError: 'no_such_column'",
        f"no figure none: {tmp_path / 'smoke.py'}: TypeError: none returned NoneType, not a matplotlib Figure",
        f"no figure ends: {tmp_path / 'smoke.py'}:7: SystemExit: ",
    ]


def test_a_script_may_have_dataclasses(tmp_path: Path) -> None:
    """With annotations as text, these look up the module of their class by its name."""
    lines = ["from __future__ import annotations", "from dataclasses import dataclass", "FIGURES = ()"]
    (tmp_path / "smoke.py").write_text("\n".join([*lines, "@dataclass", "class Point:", "    x: int"]))
    assert load_script("smoke", tmp_path).figures == ()
    assert "study_smoke" not in sys.modules


def test_a_script_that_wants_no_figures_draws_nothing(smoke: Run, tmp_path: Path) -> None:
    (tmp_path / "smoke.py").write_text("FIGURES = ()\n")
    run = Run(tmp_path, smoke.info)
    assert draw_figures(run, tmp_path) == []
    assert not (tmp_path / "figures").exists()
