"""The page of a history in a real browser: steps are seen, and two commits are compared by clicking on their points."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from harness.cli.publish import publish_history
from harness.tables import history_columns
from harness.verdicts.wording import commit_label
from tests.browsing import PHONE, WIDE, Open, violations
from tests.judged_runs import CASES, ERROR, begin, chain, commit, history, row

if TYPE_CHECKING:
    from playwright.sync_api import Page

FIRST, BEFORE, AFTER, LAST = (commit(number)[:8] for number in (0, 3, 4, 8))


def planted() -> pd.DataFrame:
    """Eight judged runs of two methods and two sizes; the fourth saw gather 1.25 times slower at one size."""
    quiet = [1.0] * 8
    step = [1.0, 1.0, 1.0, 1.25, 1.0, 1.0, 1.0, 1.0]
    times = [chain(step), chain(quiet, case=CASES[1]), chain(quiet, method="native"), chain(quiet, phase="backward")]
    others = [chain(quiet, kind="memory", clock=""), chain(quiet, kind="instructions", clock=""), chain(quiet, **ERROR)]
    return pd.concat([*times, *others], ignore_index=True)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of that history, and the report of its fourth run beside it."""
    machine = tmp_path_factory.mktemp("results") / "here"
    duel = machine / "trial" / "20260104T100000Z_b_vs_a"
    (duel / "head").mkdir(parents=True)
    (duel / "head" / "run.json").write_text('{"begin": "2026-01-04T10:00:00+00:00"}')
    (duel / "report.html").write_text("<title>The report of a run</title>")
    return publish_history(machine, [planted()])


def marks(page: Page, filled: bool) -> list[Any]:
    """The points of the chart: of heads, or of bases, which are hollow."""
    paths = page.locator("#chart .mark-symbol.role-mark path").all()
    return [each for each in paths if (each.get_attribute("fill") != "transparent") == filled]


def heights(page: Page, filled: bool) -> list[float]:
    """How high each point stands, from the left to the right."""
    boxes = sorted(
        (box["x"], box["y"] + box["height"] / 2) for each in marks(page, filled) if (box := each.bounding_box())
    )
    return [-y for _, y in boxes]


def test_it_begins_with_the_newest_change_and_shows_the_step(in_browser: Open, file: Path) -> None:
    page = in_browser(file)
    assert page.title() == "History of here - Top-k selection in PyTorch"
    assert "1 slower" in page.inner_text("#changes")
    heads, bases = heights(page, True), heights(page, False)
    assert (len(heads), len(bases)) == (8, 8)
    assert heads[2] < heads[3] == pytest.approx(heads[7], abs=1)
    assert bases[3] == pytest.approx(heads[2], abs=1)  # what the run saw lies between its own two points
    assert f"{AFTER} 1.25x" in page.inner_text("#chart")


def test_one_judged_run_alone_shows_what_it_saw(in_browser: Open, tmp_path: Path) -> None:
    rows = chain([1.25])
    page = in_browser(publish_history(tmp_path, [rows]))
    (head,), (base,) = heights(page, True), heights(page, False)
    assert head > base + 50
    assert f"{commit(1)[:8]} 1.25x" in page.inner_text("#chart")


def test_a_step_from_0_has_an_infinite_ratio_and_not_nan(in_browser: Open, tmp_path: Path) -> None:
    rows = history([0.0] * 6 + [4e8] * 6, kind="memory", clock="")
    chart = in_browser(publish_history(tmp_path, [rows])).inner_text("#chart")
    assert "trend Infinityx" in chart
    assert "NaN" not in chart


def test_two_commits_are_compared_by_clicking_on_their_points(in_browser: Open, file: Path) -> None:
    page = in_browser(file)
    at = sorted(marks(page, True), key=lambda each: each.bounding_box()["x"])
    at[2].click()
    page.wait_for_function(f"document.querySelector('#pair-note').textContent.includes('{BEFORE} is chosen')")
    at[3].click()
    page.wait_for_selector("#compared tbody tr >> text=slower")
    assert re.search(
        rf"{AFTER} against {BEFORE}: 7 quantities. Judged in run 4: 1 slower, 6 same", page.inner_text("#pair-note")
    )
    first = page.locator("#compared tbody tr").first.inner_text()
    for word in ("slower", "gather", "1.25", "run 4"):
        assert word in first
    page.get_by_role("link", name="The report of that run").click()
    page.wait_for_function("document.title === 'The report of a run'")


def test_commits_that_no_run_judged_are_compared_along_the_runs_between_them(in_browser: Open, file: Path) -> None:
    page = in_browser(file, f"#run=0&table=time&from={FIRST}&to={LAST}")
    told = compared(page, "8 runs in a chain")
    assert float(told["ratio"]) == pytest.approx(1.25)
    # Eight intervals of ± 1 % as logarithms: their half widths add as squares.
    assert float(told["high"]) / float(told["ratio"]) == pytest.approx(1.0287, abs=2e-4)
    backwards = in_browser(file, f"#run=0&table=time&from={LAST}&to={FIRST}")
    backwards.wait_for_selector("#compared tbody tr >> text=0.8")


def compared(page: Page, by: str) -> dict[str, str]:
    """The first row of the comparison of two commits, once it was made in this way: column -> text."""
    page.wait_for_selector(f"#compared tbody tr >> text={by}")
    header = page.locator("#compared thead th").all_inner_texts()
    first = page.locator("#compared tbody tr").first.locator("td").all_inner_texts()
    return dict(zip([each.strip() for each in header], first, strict=True))


def judged(base: str, head: str, run: int, **columns: Any) -> dict[str, Any]:
    """The row of a run that judged this head against this base, and found it a tenth slower."""
    own: dict[str, Any] = {"base_commit": base, "head_commit": head, "verdict": "slower"}
    return row(run, 2.0, **(own | {"ratio": 1.1, "low": 1.09, "high": 1.11} | columns))


def test_a_chain_leads_over_no_commit_with_changes_in_none(in_browser: Open, tmp_path: Path) -> None:
    """Two runs judged such a tree, each in the state that it was in then."""
    first, second, changed = commit(1), commit(2), commit(3) + "-dirty"
    rows = [judged(first, changed, 0), judged(second, changed, 1), judged(first, commit(4), 2)]
    file = publish_history(tmp_path, [pd.DataFrame(rows)[history_columns()]])
    for ends, by in (
        ((first, changed), "run 1"),
        ((changed, commit(4)), "2 runs in a chain"),
        ((first, second), "levels of different runs"),
    ):
        base, head = (commit_label(each) for each in ends)
        page = in_browser(file, f"#run=0&table=time&from={base}&to={head}")
        assert compared(page, by)["by"] == by


def test_a_run_without_a_ratio_is_not_given_that_of_a_chain(in_browser: Open, tmp_path: Path) -> None:
    first, second, third = (commit(number) for number in range(3))
    unknown = dict.fromkeys(("ratio", "low", "high"), math.nan)
    lost = judged(first, third, 2, verdict="lost", **unknown)
    rows = [judged(first, second, 0), judged(second, third, 1), lost]
    file = publish_history(tmp_path, [pd.DataFrame(rows)[history_columns()]])
    page = in_browser(file, f"#run=0&table=time&from={commit_label(first)}&to={commit_label(third)}")
    found = compared(page, "run 3")
    assert (found["verdict"], found["ratio"]) == ("lost", "")


def test_the_commits_can_be_chosen_by_the_keyboard_and_a_link_keeps_them(in_browser: Open, file: Path) -> None:
    page = in_browser(file)
    page.locator("select[name=from]").focus()
    page.select_option("select[name=from]", BEFORE)
    page.select_option("select[name=to]", AFTER)
    page.wait_for_selector("#compared tbody tr >> text=slower")
    address = page.get_by_role("link", name="A link that keeps this choice").get_attribute("href")
    again = in_browser(file, address)
    assert again.locator("select[name=to]").input_value() == AFTER
    again.wait_for_selector("#compared tbody tr >> text=slower")


def test_every_kind_and_figure_can_be_shown(in_browser: Open, file: Path) -> None:
    page = in_browser(file)
    for table, figure, title in (
        ("time", "seconds", "seconds a call"),
        ("memory", "bytes", "peak bytes"),
        ("instructions", "instructions", "instructions a call"),
        ("error", "error", "error"),
    ):
        page.select_option("select[name=table]", table)
        page.select_option("select[name=y]", figure)
        page.wait_for_selector(f"#chart >> text={title}")
        assert len(marks(page, True)) >= 8


def test_the_chosen_commits_are_kept_when_another_kind_of_quantity_is_shown(in_browser: Open, file: Path) -> None:
    page = in_browser(file, f"#run=0&table=time&from={BEFORE}&to={AFTER}")
    page.wait_for_selector("#compared tbody tr >> text=slower")
    for table, title in (("memory", "peak bytes"), ("error", "error"), ("time", "level of the first base")):
        page.select_option("select[name=table]", table)
        if table != "time":
            page.select_option("select[name=y]", "bytes" if table == "memory" else "error")
        page.wait_for_selector(f"#chart >> text={title}")
        assert [page.locator(f"select[name={name}]").input_value() for name in ("from", "to")] == [BEFORE, AFTER]
        assert f"{AFTER} against {BEFORE}: 7 quantities." in page.inner_text("#pair-note")


def test_a_line_of_a_change_leads_to_its_chart(in_browser: Open, file: Path) -> None:
    page = in_browser(file, "#run=0&table=error")
    page.get_by_role("link", name="slower: gather n=64").click()
    page.wait_for_selector("#chart >> text=level / level of the first base")
    assert f"{AFTER} 1.25x" in page.inner_text("#chart")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_it_is_accessible_and_fits_its_window(in_browser: Open, file: Path, scheme: str, size: dict[str, int]) -> None:
    page = in_browser(file, f"#run=0&table=time&from={BEFORE}&to={AFTER}", color_scheme=scheme, viewport=size)
    page.wait_for_selector("#compared tbody tr >> text=slower")
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    assert violations(page) == []


def test_a_run_that_measured_both_commits_is_given_no_figures_of_other_runs(in_browser: Open, tmp_path: Path) -> None:
    """Its quantity was lost; a chain of two other runs has a ratio, which is not that run's."""
    nothing = dict.fromkeys(("head", "ratio", "low", "high"), math.nan)
    sides = {"base_commit": commit(0), "head_commit": commit(2), "base": 1e-6}
    lost = history([math.nan], verdict="lost", **{**sides, **nothing, "begin": begin(2)})
    page = in_browser(
        publish_history(tmp_path, [pd.concat([chain([1.0, 1.25]), lost], ignore_index=True)]),
        f"#run=0&table=time&from={commit(0)[:8]}&to={commit(2)[:8]}",
    )
    page.wait_for_selector("#compared tbody tr >> text=lost")
    header = [each.strip() for each in page.locator("#compared thead th").all_inner_texts()]
    row = page.locator("#compared tbody tr").first.locator("td").all_inner_texts()
    told = dict(zip(header, row, strict=True))
    assert (told["ratio"], told["after"], told["by"]) == ("", "", "run 3")
