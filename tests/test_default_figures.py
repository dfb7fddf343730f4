"""A study without a script, a person's own first one, is drawn at once: time, speed-up and error."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from matplotlib import pyplot
from matplotlib.figure import Figure

from harness.errors import NotAsked
from harness.scripts.drawing import draw_figures
from harness.scripts.studies import captions, load_script
from harness.study.cells import Case
from harness.tables import Run, read
from harness.vocabulary import STUDIES
from tests.recorded import CASES, record


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return read(record(tmp_path_factory.mktemp("default") / "run", launches=3))


def names(run: Run, folder: Path) -> list[str]:
    said: list[str] = []
    made = draw_figures(run, folder, said.append)
    assert said == []
    assert all(path.is_file() for path in made)
    return [path.stem for path in made]


def title_of(figure: Figure) -> str:
    """The title of a figure on one line: above a narrow figure it is broken into several."""
    return " ".join(str(figure.get_suptitle()).split())


def test_a_study_without_a_script_is_drawn(run: Run, tmp_path: Path) -> None:
    assert names(run, tmp_path) == ["time", "speedup", "error"]
    assert list(captions("recorded", tmp_path)) == ["time", "speedup", "error"]


def test_a_script_that_only_measures_is_drawn_too_and_one_that_wants_no_figures_is_not(
    run: Run, tmp_path: Path
) -> None:
    (tmp_path / "recorded.py").write_text("def measure(study):\n    return []\n")
    assert names(run, tmp_path) == ["time", "speedup", "error"]
    assert load_script("recorded", tmp_path).measure is not None
    (tmp_path / "recorded.py").write_text("FIGURES = ()\n")
    assert names(run, tmp_path) == []


def test_of_a_study_of_errors_only_its_errors_are_drawn(run: Run, tmp_path: Path) -> None:
    untimed = Run(tmp_path / "untimed", run.info)
    vars(untimed).update({name: getattr(run, name) for name in ("cells", "memory", "discrepancies", "facts")})
    vars(untimed)["timings"] = run.timings.iloc[:0]
    time, speedup, error = load_script("recorded", tmp_path).figures
    for figure in (time, speedup):
        with pytest.raises(NotAsked):
            figure(untimed)
    drawn = error(untimed)
    assert "error against the exact answer" in title_of(drawn)
    pyplot.close(drawn)


def test_what_is_planted_is_what_is_drawn(run: Run) -> None:
    """gather takes twice as long as native; the axis is the one that is swept."""
    _, speedup, _ = load_script("recorded", STUDIES).figures
    figure = speedup(run)
    (axis,) = figure.axes
    assert axis.get_xlabel() == "n (length of y)"
    (line,) = (each for each in axis.get_lines() if len(each.get_xdata()) == 2 and each.get_xdata()[0] == 64)
    assert list(line.get_ydata()) == pytest.approx([0.5, 0.5], rel=0.02)
    assert [each.get_text() for each in axis.get_xticklabels()] == ["64", "256"]
    pyplot.close(figure)


@pytest.mark.parametrize(
    ("cases", "axis"),
    [
        ([Case(n=64, k=k) for k in (1, 4)], "k (how many are kept)"),
        ([Case(n=64, k=4, rows=rows) for rows in (1, 2, 8)], "rows (vectors)"),
        ([Case(n=n, k=4) for n in (64, 128)], "n (length of y)"),
        ([Case(n=n, k=4, dtype=d) for n in (64, 128) for d in ("float32", "bfloat16")], "n (length of y)"),
    ],
)
def test_the_axis_that_is_swept_is_drawn_over(cases: Sequence[Case], axis: str, tmp_path: Path) -> None:
    run = read(record(tmp_path / "run", launches=3, cases=cases))
    for draw in load_script("recorded", tmp_path).figures:
        figure = draw(run)
        assert {each.get_xlabel() for each in figure.axes} - {""} == {axis}
        assert {each.get_title().partition(", ")[2] for each in figure.axes} == {case.dtype for case in cases}
        pyplot.close(figure)


def test_what_is_not_finite_is_counted(run: Run) -> None:
    unlike = Run(run.path, run.info)
    vars(unlike).update(vars(run))
    rows = run.discrepancies
    values = rows["value"].where(rows.index != rows.index[0], float("nan"))
    vars(unlike)["discrepancies"] = pd.DataFrame(rows.assign(value=values))
    figure = load_script("recorded", STUDIES).figures[-1](unlike)
    assert title_of(figure).endswith("; 1 are not finite")
    pyplot.close(figure)


def test_a_function_of_a_script_imports_what_lies_beside_it(smoke: Run, tmp_path: Path) -> None:
    """Not only at the script's head, and also what is shipped."""
    (tmp_path / "beside.py").write_text("TOLD = 'beside'\n")
    told = "    import beside, style\n    yield f'{beside.TOLD} and {style.__name__}'\n"
    (tmp_path / "smoke.py").write_text(f"FIGURES = ()\n\ndef summary(run):\n{told}")
    script = load_script("smoke", tmp_path)
    with script.blamed():
        assert list(script.summary(smoke)) == ["beside and style"]  # type: ignore[misc]


def test_methods_of_a_study_of_one_size_stand_below_one_another(tmp_path: Path) -> None:
    """gather takes twice as long as native; a point has its value beside it."""
    run = read(record(tmp_path / "run", launches=3, cases=[Case(n=64, k=4)]))
    time, speedup, error = (draw(run) for draw in load_script("recorded", tmp_path).figures)
    (axis,) = speedup.axes
    assert [each.get_text() for each in axis.get_yticklabels()] == ["gather"]
    (point,) = (each for each in axis.get_lines() if each.get_marker() not in ("None", "", None))
    assert list(point.get_xdata()) == pytest.approx([0.5], rel=0.02)
    assert [each.get_text() for each in axis.texts] == ["0.50x"]
    assert "native" in [each.get_text() for each in time.axes[0].get_yticklabels()]
    assert len(time.axes[0].texts) == len(time.axes[0].get_yticklabels())
    for figure in (time, speedup, error):
        assert "n = 64, k = 4, rows = 1" in title_of(figure)
        pyplot.close(figure)


def with_axis(run: Run, name: str, values: Callable[[pd.DataFrame], pd.Series]) -> Run:
    """The run with one more axis in its tables, as a study with shapes or parameters has it."""
    other = Run(run.path, run.info)
    for table in ("cells", "timings", "memory", "discrepancies"):
        rows = getattr(run, table).copy()
        rows.insert(list(rows).index("threads") + 1, name, values(rows))
        vars(other)[table] = rows
    return other


def titles(run: Run) -> list[str]:
    drawn = [draw(run) for draw in load_script("recorded", STUDIES).figures]
    found = [title_of(figure) for figure in drawn]
    for figure in drawn:
        pyplot.close(figure)
    return found


def test_the_title_names_the_setting_that_is_drawn(tmp_path: Path) -> None:
    """Of two shapes of one size each the first is drawn, whichever name comes first."""
    sizes = {128: "wide", 64: "narrow"}
    run = read(record(tmp_path / "run", launches=3, cases=[Case(n=128, k=4), Case(n=64, k=8)]))
    for title in titles(with_axis(run, "shape", lambda rows: rows["n"].map(sizes))):
        assert "n = 128, k = 4, rows = 1, threads = 1, cpu" in title
        assert title.endswith(", shape = wide")
        assert "64" not in title


@pytest.mark.parametrize(
    ("values", "shown"),
    [((False, True), "False"), (("plain", "auto"), "plain"), (("10 µs", "2 µs"), "10 µs")],
)
def test_an_axis_of_words_or_of_yes_and_no_is_not_drawn_over(tmp_path: Path, values: Sequence[Any], shown: str) -> None:
    cases = [Case(n=64, k=4, seed=seed) for seed in (0, 1)]
    run = read(record(tmp_path / "run", launches=3, cases=cases))
    for title in titles(with_axis(run, "how", lambda rows: rows["seed"].map(dict(enumerate(values))))):
        assert f", how = {shown}" in title


def test_of_equally_common_numbers_the_middle_one_is_shown(tmp_path: Path) -> None:
    cases = [Case(n=n, k=k) for n in (64, 128) for k in (1, 8, 32)]
    assert all(", k = 8" in title for title in titles(read(record(tmp_path / "run", launches=3, cases=cases))))


def test_without_an_interval_no_bars_are_promised(tmp_path: Path) -> None:
    for name, cases in (("one", CASES[:1]), ("two", CASES)):
        few = titles(read(record(tmp_path / f"{name}_few", launches=1, cases=cases)))[1]
        assert "no bars: too few launches for an interval" in few
        assert "bars: 95 % intervals" in titles(read(record(tmp_path / name, launches=3, cases=cases)))[1]


def test_where_only_the_yardsticks_were_timed_the_figures_say_so(tmp_path: Path) -> None:
    crashed = {"native": "crashed", "gather": "crashed"}
    run = read(record(tmp_path / "run", launches=1, cases=CASES[:1], status=crashed))
    said: list[str] = []
    assert draw_figures(run, tmp_path, said.append) == []
    assert said == ["no figure time: there is no time of a method other than copy and read in this run"]
    alone = read(record(tmp_path / "alone", launches=1, cases=CASES[:1], status={"gather": "crashed"}))
    assert draw_figures(alone, tmp_path, said.append) != []
    assert said[1:] == ["no figure speedup: there is no time of another method beside native's in this run"]
