"""A history: what is appended survives, steps are where they were planted, and the verb tells them."""

from __future__ import annotations

import csv
import itertools
import math
import re
import subprocess
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from matplotlib import pyplot

from harness.cli import cli
from harness.errors import UserError
from harness.history.changes import changes_of
from harness.history.points import study_histories
from harness.machine import this_machine
from harness.report.trend import history_lines
from harness.scripts.drawing import draw_trends
from harness.scripts.studies import load_trends
from harness.tables import Run, append_history, history_columns, history_of, read_history
from harness.verdicts.history import history_rows, record
from harness.verdicts.steps import FEWEST_RUNS, TOLERANCE, change_points, steps, trends
from harness.vocabulary import EXIT_USAGE
from tests.judged_runs import CASES, begin, chain, commit, history
from tests.sidecar import SIDECAR

ROOT = Path(__file__).parent.parent
SD = 0.015
MISSED = math.log(1.05)


def noisy(seed: int, runs: int, effect: float = 0.0, at: int = 0, sd: float = SD) -> np.ndarray:
    signal = np.random.default_rng(seed).normal(0, sd, size=runs)
    signal[at:] += effect
    return np.exp(signal)


def places(levels: Iterable[float], **columns: Any) -> list[int]:
    """The runs at which a step is said to be."""
    found = steps(history(levels, **columns))
    return [int(commit[:8], 16) for commit in found["head_commit"]]


def test_a_history_is_read_back_as_it_was_appended(tmp_path: Path) -> None:
    path = tmp_path / "here" / "history.csv"
    rows = history([0.1 + 0.2, math.nan, 5e-324, math.inf, 0.0], method="null", verdict="lost")
    append_history(path, rows.iloc[:2])
    append_history(path, rows.iloc[2:])
    pd.testing.assert_frame_equal(read_history(path), rows, check_exact=True, check_dtype=False)
    assert path.read_text().splitlines()[0] == ",".join(history_columns())
    assert read_history(tmp_path / "nothing.csv").empty


OLD = pd.concat([history([0.1 + 0.2, math.nan]), history([3.0], kind="error", phase="", clock="", metric="flips")])


def without_clock(path: Path) -> None:
    OLD.drop(columns="clock").to_csv(path, index=False, na_rep="nan")


def quoted_with_a_mark(path: Path) -> None:
    """As another program saves it: a byte-order mark, quotes around everything, NaN as nothing, CRLF."""
    OLD.to_csv(path, index=False, quoting=csv.QUOTE_ALL, encoding="utf-8-sig", lineterminator="\r\n")


@pytest.mark.parametrize("write", [without_clock, quoted_with_a_mark])
def test_a_history_of_before_there_were_two_clocks_or_saved_by_another_program_goes_on(
    tmp_path: Path, write: Callable[[Path], None]
) -> None:
    path = tmp_path / "history.csv"
    write(path)
    assert list(read_history(path)["clock"]) == ["wall", "wall", ""]
    added = history([4.0], clock="device")
    append_history(path, added)
    append_history(path, added)
    expected = pd.concat([OLD, added, added], ignore_index=True)
    pd.testing.assert_frame_equal(read_history(path), expected, check_exact=True, check_dtype=False)
    assert path.read_text().splitlines()[0] == ",".join(history_columns())
    assert [each.name for each in tmp_path.iterdir()] == ["history.csv"]


def test_a_half_line_of_an_earlier_version_is_cut_off_too(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    without_clock(path)
    with path.open("a") as file:
        file.write("2026-01-01T10:00:00+00:00,tri")
    append_history(path, OLD)
    pd.testing.assert_frame_equal(
        read_history(path), pd.concat([OLD, OLD], ignore_index=True), check_exact=True, check_dtype=False
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a,b,c\n1,2,3", "its last line is cut off"),
        ("begin;study\nthen;trial\n", "separated by ';'"),
        (f"{','.join(history_columns())}x\n".replace("clock,", ""), "it has no column 'level'"),
        (f"{','.join(history_columns())},more\n".replace("clock,", ""), "column 'more' is not in the schema"),
        ("\ufeffbegin,study\nthen,trial\n".encode("utf-16").decode("latin-1"), "UTF-16, not UTF-8"),
    ],
    ids=["cut off", "semicolons", "no level", "another column", "UTF-16"],
)
def test_a_history_that_cannot_be_read_is_left_alone(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "history.csv"
    path.write_bytes(text.encode("latin-1"))
    before = path.read_bytes()
    with pytest.raises(
        UserError, match=rf"history\.csv: .*{re.escape(why)}.*; move this file away, and a new history is begun"
    ):
        append_history(path, OLD)
    assert path.read_bytes() == before


def test_a_half_line_is_cut_off_before_the_next_is_appended(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    rows = history([1.0, 2.0])
    append_history(path, rows.iloc[:1])
    whole = path.read_bytes()
    append_history(path, rows.iloc[1:])
    both = path.read_bytes()
    for cut in range(len(whole) + 1, len(both)):
        path.write_bytes(both[:cut])
        append_history(path, rows.iloc[1:])
        assert path.read_bytes() == both
    path.write_bytes(whole[:20])  # of the header
    append_history(path, rows)
    assert path.read_bytes() == both


APPEND = """
import sys
from pathlib import Path
from harness.tables import append_history, read_history
rows = read_history(Path(sys.argv[1]))
for _ in range(20):
    append_history(Path(sys.argv[2]), rows)
"""


def test_two_that_append_at_once_take_turns(tmp_path: Path) -> None:
    """One in a process of its own, two in threads of this one; each call's rows stay together."""
    source, path = tmp_path / "rows.csv", tmp_path / "history.csv"
    append_history(source, history([1.0] * 50, method="process"))
    other = subprocess.Popen([sys.executable, "-c", APPEND, str(source), str(path)], cwd=ROOT)
    with ThreadPoolExecutor(2) as pool:
        mine = [history([1.0] * 50, method=name) for name in ("one", "two")]
        for rows in mine * 20:
            pool.submit(append_history, path, rows)
    assert other.wait(60) == 0
    methods = read_history(path)["method"]
    together = [(name, len(list(group)) % 50) for name, group in itertools.groupby(methods)]
    assert {name for name, _ in together} == {"process", "one", "two"}
    assert [rest for _, rest in together if rest] == []
    assert len(methods) == 3 * 20 * 50


def judged_run(commit: str, seconds: float) -> Run:
    """A run of one launch, in memory: gather takes this long, one read 2 µs."""
    info = SIDECAR | {"commit": commit, "torch": {"torch": "2.13.0"}, "begin": begin(0)}
    key = {"case": CASES[0].id} | CASES[0].axes
    block = {"clock": "wall", "launch": 1, "round": 0, "position": 0, "calls": 1}
    run = Run(Path("nowhere"), info)
    vars(run)["timings"] = pd.DataFrame(
        [
            key | {"method": "gather", "phase": "forward"} | block | {"seconds": seconds},
            key | {"method": "read", "phase": "apply"} | block | {"seconds": 2e-6},
        ]
    )
    return run


def test_a_judged_run_is_recorded_with_its_levels(tmp_path: Path) -> None:
    verdicts = history([0.0, 0.0, 0.0, 0.0]).drop(columns=["level", "begin", "study", "base_commit", "head_commit"])
    kinds = ["time", "memory", "error", "cell"]
    verdicts = verdicts.assign(
        kind=kinds, head=[1e-5, 4096.0, 0.5, math.nan], verdict=["slower", "same", "worse", "new"]
    )
    verdicts.loc[1:, ["phase", "clock"]] = ""
    base, head = judged_run("b" * 40, 1e-5), judged_run("c" * 40, 1e-5)
    rows = history_rows(verdicts, base, head)
    assert list(rows["level"])[:3] == pytest.approx([5.0, 4096.0, 0.5])  # of time in reads
    assert math.isnan(rows["level"][3])
    assert (set(rows["base_commit"]), set(rows["head_commit"])) == ({"b" * 40}, {"c" * 40})
    path = record(tmp_path, verdicts, base, head)
    assert path == tmp_path / "here" / "history.csv"
    pd.testing.assert_frame_equal(read_history(path), rows, check_dtype=False)
    assert trends(rows)["kind"].tolist() == ["time", "memory", "error"]


def best_places(signal: np.ndarray, penalty: float, shortest: int = 3) -> list[int]:
    """The change points of the smallest penalised sum of squares, by trying every way to cut."""

    def cost(cuts: tuple[int, ...]) -> float:
        pieces = np.split(signal, list(cuts))
        return sum(float(((piece - piece.mean()) ** 2).sum()) for piece in pieces) + penalty * len(cuts)

    n = len(signal)
    ways = [cuts for many in range(n // shortest) for cuts in itertools.combinations(range(shortest, n), many)]
    allowed = [cuts for cuts in ways if min(np.diff([0, *cuts, n])) >= shortest]
    best = min(allowed, key=cost)
    return list(best)


@pytest.mark.parametrize("seed", range(6))
def test_change_points_are_those_of_the_least_penalised_squares(seed: int) -> None:
    signal = np.log(noisy(seed, 13, 0.2, 4))
    signal[9:] -= 0.1
    spread = np.median(np.abs(np.diff(signal))) / 0.6745 / 2**0.5
    assert change_points(signal) == best_places(signal, 4 * (1 + 10 / 13) * max(spread, 0.005) ** 2 * math.log(13))


@pytest.mark.parametrize(("runs", "sd"), [(runs, sd) for runs in (6, 10, 20, 60) for sd in (SD, 0.05)])
def test_noise_alone_seldom_has_a_step(runs: int, sd: float) -> None:
    """In at most 2.5 % of 400 series."""
    every = [noisy(seed, runs, sd=sd) for seed in range(400)]
    doubtful = [levels for levels in every if change_points(np.log(levels))]
    assert sum(bool(places(levels)) for levels in doubtful) / len(every) <= 0.025


@pytest.mark.parametrize(("runs", "share"), [(10, 0.5), (20, 0.9), (40, 0.9)])
@pytest.mark.parametrize("effect", [MISSED, -MISSED])
def test_a_planted_step_of_five_per_cent_is_found_within_one_run(runs: int, share: float, effect: float) -> None:
    at = runs // 2
    found = [change_points(np.log(noisy(seed, runs, effect, at))) for seed in range(200)]
    assert np.mean([any(abs(place - at) <= 1 for place in each) for each in found]) >= share


def test_a_step_says_where_and_how_much() -> None:
    table = steps(history([2.0] * 7 + [3.0] * 5))
    (found,) = table.to_dict("records")
    assert (found["begin"], found["head_commit"], found["runs"]) == (begin(7), f"{7:08x}" * 5, 12)
    assert (found["before"], found["after"], found["ratio"]) == (2.0, 3.0, 1.5)
    assert {"study", "method", "n", "dtype", "phase"} <= set(table)
    up_and_down = steps(history([2.0] * 7 + [3.0] * 5 + [2.0] * 4))
    assert list(up_and_down["ratio"]) == pytest.approx([1.5, 2 / 3])


def test_a_step_within_the_tolerance_is_none() -> None:
    assert places([1.0] * 10 + [1 + 0.9 * TOLERANCE] * 10) == []
    assert places([1.0] * 10 + [1 + 1.1 * TOLERANCE] * 10) == [10]


@pytest.mark.parametrize(
    "levels",
    [
        [],
        [1.0],
        [1.0] * 30,
        [1.0] * 3 + [2.0] * 2,
        [math.nan] * 12,
        [0.0] * 12,
        [1.0] * 9 + [9.0] + [1.0] * 9,
        [1.0] * 9 + [9.0],
        [-1.0] * 9,
    ],
    ids=["none", "one", "constant", "few", "NaN", "zeros", "a bad day", "a bad day at the end", "negative"],
)
def test_no_step(levels: list[float]) -> None:
    table = steps(history(levels) if levels else history([1.0]).iloc[:0])
    assert table.empty
    assert {"begin", "ratio", "case"} <= set(table)


def test_what_is_not_finite_is_left_out_and_the_rest_is_looked_at() -> None:
    for hole in (math.nan, 0.0, math.inf):
        assert places([1.0, hole, 1.0, 1.0, 1.0, hole, 2.0, hole, 2.0, 2.0, 2.0]) == [6]


def test_an_error_or_a_memory_may_be_zero() -> None:
    error = {"kind": "error", "phase": "", "tensor": "dx", "reference": "exact"}
    assert places([0.0] * 6 + [1.0] * 6, metric="ulp_max", **error) == [6]
    assert places([1.0] * 6 + [0.0] * 6, metric="flips", **error) == [6]
    assert list(steps(history([0.0] * 6 + [1.0] * 6, metric="flips", **error))["ratio"]) == [math.inf]
    assert places([1e-7] * 6 + [1e-3] * 6, metric="rel_l2", **error) == [6]
    assert places([1e-12] * 6 + [1e-10] * 6, metric="rel_l2", **error) == []  # of a unit roundoff of 6e-8
    assert places([0.0] * 6 + [4096.0] * 6, kind="memory") == []
    assert places([0.0] * 6 + [1e6] * 6, kind="memory") == [6]


def test_a_drift_is_followed_by_steps_of_its_direction() -> None:
    table = steps(history(noisy(3, 60) * np.exp(np.linspace(0, 0.3, 60))))
    assert 1 <= len(table) <= 10
    assert (table["ratio"] > 1).all()
    assert table["ratio"].prod() == pytest.approx(math.exp(0.3), rel=0.1)
    assert places(noisy(3, 60) * np.exp(np.linspace(0, 0.01, 60))) == []


def test_a_run_that_was_judged_twice_counts_once_and_the_order_is_of_time() -> None:
    rows = history(noisy(5, 12, 0.2, 6))
    one = steps(rows)
    assert len(one) == 1
    shuffled = pd.concat([rows, rows, rows], ignore_index=True).sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(steps(shuffled), one, check_dtype=False)


def test_quantities_of_other_cases_and_studies_are_other_series() -> None:
    low, high = history([1.0] * 8), history([5.0] * 8, study="speed")
    other = history([5.0] * 8, case=CASES[1])
    assert steps(pd.concat([low, high, other])).empty


def planted() -> pd.DataFrame:
    """Two quantities of 12 runs, one with a step; one of 4 runs; a cell."""
    return pd.concat(
        [
            history(noisy(1, 12, 0.2, 6)),
            history(noisy(2, 12), case=CASES[1]),
            history([1.0] * 4, phase="backward"),
            history([math.nan], kind="cell", phase=""),
        ],
        ignore_index=True,
    )


def test_the_lines_say_what_where_and_by_how_much() -> None:
    rows = planted()
    lines = list(history_lines(rows, steps(rows)))
    assert lines[0] == "12 judged runs, 3 quantities: one step"
    assert re.fullmatch(
        r"trial: gather n=64 k=4 rows=1 d=0 float32 cpu, wall time of forward: 1\.2\d\dx, "
        r"\S+ -> \S+ reads of y, at 00000006 of 2026-01-07T10:00:00\+00:00",
        lines[1],
    )
    assert lines[2:] == [f"1 quantity has fewer than {FEWEST_RUNS} judged runs, too few to look for a step"]
    quiet = rows[rows["dtype"] == "bfloat16"]
    assert list(history_lines(quiet, steps(quiet))) == ["12 judged runs, 1 quantity: no step"]


def test_what_a_single_run_judged_is_said_before_there_is_a_trend() -> None:
    """A newcomer's third duel: without this line the history would say that there is no step."""
    rows = history([1.0, 1.0, 1.5, 1.5])
    rows.loc[2, "verdict"], rows.loc[2, "ratio"] = "slower", 1.5
    told = list(history_lines(rows, steps(rows)))
    assert told[0] == "4 judged runs, 1 quantity: no step"
    assert told[1].startswith(
        f"trial: {rows['head_commit'][2][:8]} against {rows['base_commit'][2][:8]}: 1 slower: gather n=64"
    )
    assert "1.500x" in told[1]
    assert len(told) == 3


def test_of_several_changes_of_a_run_the_terminal_names_the_one_that_the_page_names_first() -> None:
    small, large = chain([1.0, 1.1]), chain([1.0, 1.3], case=CASES[1])
    for rows in (pd.concat([small, large]), pd.concat([large, small])):
        (study,) = study_histories(rows)
        (change,) = changes_of(study, steps(rows), 0)
        first = change.lines[0].text.removeprefix("slower: ")
        assert first.endswith("1.300x (1.287..1.313)")
        assert list(history_lines(rows, steps(rows)))[1].endswith(f"2 slower: {first}")


def test_of_many_steps_the_newest_are_shown() -> None:
    rows = pd.concat([history([1.0] * (6 + at % 5) + [2.0] * 6, method=f"m{at:02d}") for at in range(30)])
    lines = list(history_lines(rows, steps(rows)))
    assert (lines[0].endswith("30 quantities: 30 steps"), len(lines)) == (True, 22)
    assert lines[-1] == "... and 10 more"
    stamps = [line.rpartition(" ")[2] for line in lines[1:-1]]
    assert stamps == sorted(stamps, reverse=True)
    assert stamps[0] == begin(10)


def call(results: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["history", "--results", str(results), *arguments])


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The history `planted` of the machine `there`."""
    monkeypatch.setattr(sys, "path", list(sys.path))  # the command line adds to it
    append_history(tmp_path / "there" / "history.csv", planted())
    return tmp_path


def test_the_verb_tells_the_steps_and_draws_the_trends(results: Path) -> None:
    told = call(results, "--machine", "there")
    assert told.exit_code == 0, told.output
    lines = told.stdout.splitlines()
    assert lines[:3] == list(history_lines(planted(), steps(planted())))
    folder = results / "there" / "history"
    assert lines[3:] == [str(folder / f"trial_{name}.png") for name in ("levels", "changes")]
    assert sorted(path.suffix for path in folder.iterdir()) == [".png", ".png", ".svg", ".svg"]
    text = (folder / "trial_levels.svg").read_text(encoding="utf-8")
    assert "gather, forward" in text
    assert "gather, backward" in text
    assert re.search(r"1\.2\dx \(1\)", text)
    before = {path: path.read_bytes() for path in folder.glob("*.svg")}
    assert call(results, "--machine", "there").exit_code == 0
    assert {path: path.read_bytes() for path in folder.glob("*.svg")} == before


def test_without_a_history_the_message_says_what_makes_one(results: Path, tmp_path: Path) -> None:
    slug = this_machine().slug
    for arguments in ((), ("--machine", slug)):
        told = call(tmp_path / "nothing", *arguments)
        assert told.exit_code == EXIT_USAGE
        assert told.stderr == (
            f"harness: {tmp_path / 'nothing' / slug / 'history.csv'}: no history yet: "
            "`harness duel` and `harness compare` add to it\n"
        )
    assert call(results, "--machine", "theer").stderr == (
        f"harness: {results}: unknown machine 'theer' (allowed: there); did you mean 'there'?\n"
    )
    assert not (tmp_path / "nothing").exists()


def test_this_machine_is_found_with_its_accelerator_too(tmp_path: Path) -> None:
    slug = this_machine().slug
    append_history(tmp_path / f"{slug}_some-gpu" / "history.csv", planted())
    assert history_of(tmp_path, None) == tmp_path / f"{slug}_some-gpu" / "history.csv"
    append_history(tmp_path / slug / "history.csv", planted())
    with pytest.raises(UserError, match="several histories of this machine: name one with --machine"):
        history_of(tmp_path, None)
    assert history_of(tmp_path, slug) == tmp_path / slug / "history.csv"


def test_a_damaged_history_is_one_line(results: Path) -> None:
    path = results / "there" / "history.csv"
    path.write_text(path.read_text().replace("time", "tiem"))
    told = call(results, "--machine", "there")
    assert told.exit_code == EXIT_USAGE
    assert told.stderr.startswith(f"harness: {path}: ")
    assert len(told.stderr.splitlines()) == 1


def test_figures_show_a_readable_number_of_panels_and_name_what_is_left_out() -> None:
    rows = pd.concat([history([1.0] * 6 + [1.0 + at // 19] * 6, method=f"m{at:02d}") for at in range(20)])
    levels, _ = load_trends(Path("studies"))
    figure = levels(rows, steps(rows))
    titles = [axis.get_title() for axis in figure.axes]
    assert titles == [f"m{at:02d}, forward" for at in (*range(15), 19)]  # the last one has the step
    assert figure.get_suptitle().endswith("left out: m15, forward; m16, forward; m17, forward; m18, forward")
    pyplot.close(figure)


def test_a_figure_names_a_commit_with_changes_in_none_as_such() -> None:
    rows = chain([1.0, 1.5])
    rows = rows.assign(head_commit=[rows["head_commit"].iloc[0], rows["head_commit"].iloc[1] + "-dirty"])
    for draw in load_trends(Path("studies")):
        figure = draw(rows, steps(rows))
        labels = [each.get_text() for each in figure.axes[0].get_xticklabels()]
        assert labels == [commit(1)[:8], f"{commit(2)[:8]}-dirty"]
        pyplot.close(figure)


def test_a_single_judged_run_shows_what_it_saw() -> None:
    rows = chain([1.5])
    for draw, seen in zip(load_trends(Path("studies")), ([2.0, 3.0], [1.0, 1.5]), strict=True):
        figure = draw(rows, steps(rows))
        (line,) = [each for each in figure.axes[0].lines if len(each.get_ydata()) == 2 and each.get_marker() == "o"]
        assert list(line.get_ydata()) == pytest.approx(seen)
        pyplot.close(figure)


def test_of_two_clocks_the_figures_show_the_first_and_its_steps() -> None:
    """A method with no device time keeps its wall time, in a panel of its own."""
    steady, stepped = [1.0] * 12, [1.0] * 6 + [2.0] * 6
    on_gpu = {"device": "cuda"}
    rows = pd.concat(
        [
            history(stepped, clock="device", **on_gpu),
            history(steady, clock="wall", **on_gpu),
            history(stepped, method="sort", clock="wall", **on_gpu),
            history(steady, method="coo", clock="device", **on_gpu),
            history(stepped, method="coo", clock="wall", **on_gpu),
        ]
    )
    levels, _ = load_trends(Path("studies"))
    figure = levels(rows, steps(rows))
    marked = {axis.get_title(): [text.get_text() for text in axis.texts] for axis in figure.axes}
    assert marked == {"gather, forward": ["2.00x (1)"], "sort, forward": ["2.00x (1)"], "coo, forward": []}
    assert "trial by the device and the wall clock: 12 judged runs" in figure.get_suptitle()
    pyplot.close(figure)


def test_the_shipped_script_draws_unless_the_folder_of_studies_has_one_of_its_own(tmp_path: Path) -> None:
    shipped = draw_trends(planted(), steps(planted()), tmp_path / "a", tmp_path)
    assert {path.name for path in shipped} >= {"trial_levels.png", "trial_changes.png"}
    (tmp_path / "history.py").write_text("TRENDS = ()\n", encoding="utf-8")
    assert draw_trends(planted(), steps(planted()), tmp_path / "b", tmp_path) == []


def test_what_draws_a_history_is_no_study() -> None:
    assert not Path("studies/history.toml").exists()
    assert not Path("studies/default.toml").exists()  # nor is what draws a study that has no script


def test_rows_are_not_added_to_a_history_of_other_columns(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    path.write_text("begin,study\nthen,trial\n")
    with pytest.raises(
        UserError, match=f"{re.escape(str(path))}: it has no column 'base_commit'.*; move this file away"
    ):
        append_history(path, planted())
    assert path.read_text() == "begin,study\nthen,trial\n"
