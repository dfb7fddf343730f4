"""The page of a report in a real browser: it opens from its file, asks for nothing, and does what its controls say."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.cli.publish import publish
from harness.page.document import document
from harness.page.reported import Drawn, Reported
from harness.study.cells import Case
from harness.tables import read
from harness.vocabulary import RESULTS
from tests.browsing import PHONE, WIDE, Open, violations
from tests.recorded import record

if TYPE_CHECKING:
    from playwright.sync_api import Page

ROOT = Path(__file__).parent.parent
DESK, SCREENS = {"width": 1280, "height": 800}, 4
STUDIES_OF_A_PAGE = ("speed", "precision", "smoke", "regression")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of two runs, the second of which is slower and has a crashed method."""
    folder = tmp_path_factory.mktemp("page")
    base = record(folder / "base")
    head = record(folder / "head", slower={"gather": 1.5})
    return publish([str(base), str(head)], folder, folder, folder / "a report.html")


@pytest.fixture
def opened(in_browser: Open, report: Path) -> Open:
    """opened(hash, file, **context) -> the page, ready, its explorer open unless explorer=False."""

    def opening(address: str = "", file: Path = report, explorer: bool = True, **options: Any) -> Page:
        page = in_browser(file, address, **options)
        if explorer and not page.locator("#explorer details[open]").count():
            page.locator("#explorer summary").click()
            page.wait_for_selector("#rows tbody tr")
        return page

    return opening


def points(page: Page) -> int:
    return page.locator("#chart .mark-symbol.role-mark path").count()


def chosen(page: Page) -> int:
    return int(re.match(r"(\d+) of", page.inner_text("#note"))[1])  # type: ignore[index]


def shown(page: Page, axis: str, value: str) -> Any:
    return page.locator(f'input[name="show.{axis}"][value="{value}"]')


def unfold(page: Page) -> None:
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")


def test_it_opens_from_its_file_with_every_chart_drawn(opened: Open) -> None:
    page = opened()
    assert page.title() == "recorded: head against base - Top-k selection in PyTorch"
    unfold(page)
    specs = page.locator("[data-spec]")
    assert specs.count() >= 3
    for place in range(specs.count()):
        specs.nth(place).locator("svg").wait_for()
    assert points(page) == 6  # three methods, two sizes


def test_a_filter_changes_the_chart_and_the_table(opened: Open) -> None:
    page = opened()
    assert (points(page), chosen(page)) == (6, 6)
    shown(page, "method", "gather").uncheck()
    page.wait_for_function("document.querySelectorAll('#rows tbody tr').length === 4")
    assert (points(page), chosen(page)) == (4, 4)
    assert "gather" not in page.inner_text("#rows tbody")
    page.get_by_role("button", name="all of method").click()
    page.wait_for_function("document.querySelectorAll('#rows tbody tr').length === 6")
    assert points(page) == 6


def test_the_figure_the_axis_and_the_scales_can_be_picked(opened: Open) -> None:
    page = opened()
    assert page.get_by_text("seconds a call", exact=True).count() > 0
    page.select_option("select[name=y]", "multiple")
    page.wait_for_selector("#chart >> text=time / time of one read of y")
    page.locator("input[name=logy]").uncheck()
    page.select_option("select[name=table]", "rounds")
    page.wait_for_selector("#chart >> text=round")
    assert chosen(page) == points(page) == 9  # three blocks of three methods at one n, of one launch
    page.select_option("select[name=table]", "memory")
    page.wait_for_selector("#chart >> text=peak bytes")


def test_a_link_keeps_the_choice(opened: Open) -> None:
    page = opened()
    page.select_option("select[name=y]", "speedup")
    page.wait_for_selector("#chart >> text=speed-up over native")
    shown(page, "n", "64").uncheck()
    page.wait_for_function("document.querySelectorAll('#rows tbody tr').length === 3")
    address = page.get_by_role("link", name="A link that keeps this choice").get_attribute("href")
    assert address is not None
    again = opened(address)
    assert again.locator("select[name=y]").input_value() == "speedup"
    assert not shown(again, "n", "64").is_checked()
    assert (chosen(again), points(again)) == (3, 3)


def test_the_download_has_the_rows_that_are_shown(opened: Open, tmp_path: Path) -> None:
    page = opened()
    shown(page, "n", "64").uncheck()
    page.wait_for_function("document.querySelectorAll('#rows tbody tr').length === 3")
    page.get_by_label("Search in these rows").fill("gather")
    page.wait_for_function("document.querySelectorAll('#rows tbody tr').length === 1")
    with page.expect_download() as started:
        page.get_by_role("button", name="Download the shown rows").click()
    started.value.save_as(tmp_path / "rows.csv")
    with (tmp_path / "rows.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["method"], row["n"], row["phase"]) for row in rows] == [("gather", "256", "forward")]
    assert float(rows[0]["seconds"]) == pytest.approx(2e-4, rel=0.05)
    assert rows[0]["dtype"] == "float32"  # also what the table hides since it is everywhere the same


def test_the_table_sorts(opened: Open) -> None:
    page = opened()
    page.get_by_role("columnheader", name="seconds:").or_(
        page.locator("#rows thead th", has_text=re.compile("^seconds$"))
    ).first.click()
    page.wait_for_selector("#rows th[aria-sort=ascending]")
    assert page.locator("#rows tbody tr").first.inner_text().startswith("read")


def test_hovering_over_a_point_tells_its_row(opened: Open) -> None:
    page = opened()
    page.locator("#chart .mark-symbol.role-mark path").first.hover()
    page.wait_for_selector("#vg-tooltip-element.visible")
    told = page.inner_text("#vg-tooltip-element")
    for word in ("method", "seconds_low", "speedup", "case", "float32"):
        assert word in told


def test_the_look_up_answers_for_a_case(opened: Open) -> None:
    page = opened()
    page.locator("#lookup-0 > summary").click()
    look_up = page.locator("[data-lookup='0']")
    look_up.locator("select[name=n]").select_option("64")
    assert re.search(r"native 1x, 1\d\d µs", look_up.inner_text())
    told = re.search(r"gather ([\d.]+)x \(([\d.]+) to ([\d.]+)\), [a-z ]+, ([\d.]+) µs", look_up.inner_text())
    assert told is not None
    speedup, low, high, seconds = map(float, told.groups())
    assert speedup == pytest.approx(0.5, rel=0.01)
    assert seconds == pytest.approx(200, rel=0.02)
    assert 0.98 * speedup < low < speedup < high < 1.02 * speedup


def test_what_it_begins_with_was_measured_where_k_is_a_share_of_n(opened: Open, tmp_path: Path) -> None:
    cases = [Case(n=n, k=k) for n, k in ((64, 4), (64, 16), (256, 4), (256, 64))]
    (tmp_path / "recorded.py").write_text("FIGURES = ()\n")  # drawing is no matter of this test
    run = record(tmp_path / "run", cases=cases, launches=3)
    page = opened(file=publish([str(run)], tmp_path, tmp_path))
    look_up = page.locator("[data-lookup='0']")
    assert look_up.locator("ol li").count() == 2
    look_up.locator("select[name=n]").select_option("64")
    assert look_up.locator("select[name=k] option").all_inner_texts() == ["4", "16"]
    assert look_up.locator("ol li").count() == 2
    assert chosen(page) == 6  # k = 4, which both sizes have
    assert shown(page, "k", "4").is_checked()


def test_a_figure_that_is_0_everywhere_is_shown_all_the_same(opened: Open, tmp_path: Path) -> None:
    (tmp_path / "recorded.py").write_text("FIGURES = ()\n")  # drawing is no matter of this test
    run = record(tmp_path / "run", launches=1, error=0.0)
    page = opened("#run=0&table=error", publish([str(run)], tmp_path, tmp_path))
    assert "value" in page.locator("#rows thead").inner_text().split()
    assert (points(page), chosen(page)) == (4, 4)
    for box in page.locator("input[name='show.method']").all():
        box.uncheck()
    page.wait_for_selector("#chart >> text=Nothing can be drawn")
    assert chosen(page) == 0


def test_methods_that_nobody_named_do_not_look_alike(opened: Open, tmp_path: Path) -> None:
    (tmp_path / "recorded.py").write_text("FIGURES = ()\n")  # drawing is no matter of this test
    seconds = {"native": 1e-4, "mine": 2e-4, "yours": 3e-4, "read": 1e-5}
    page = opened(file=publish([str(record(tmp_path / "run", seconds=seconds))], tmp_path, tmp_path))
    marks = page.locator("#chart .mark-symbol.role-mark path").all()
    looks = {(mark.get_attribute("fill"), mark.get_attribute("d")) for mark in marks}
    assert len(looks) == len(seconds)


def test_verdicts_are_in_the_explorer_in_their_colours(opened: Open) -> None:
    page = opened()
    page.get_by_role("link", name="All of them in the explorer").click()
    page.wait_for_selector("#chart >> text=head / base")
    assert page.locator("select[name=colour]").input_value() == "verdict"
    assert "slower" in page.inner_text("#rows")


def test_it_can_be_used_by_the_keyboard_alone(opened: Open) -> None:
    page = opened(explorer=False)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.locator("#explorer summary").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#rows tbody tr")
    page.locator("select[name=y]").focus()
    page.keyboard.press("ArrowDown")
    page.wait_for_selector("#chart >> text=speed-up over native")
    shown(page, "n", "64").focus()
    page.keyboard.press("Space")
    page.wait_for_function("document.querySelectorAll('#rows tbody tr').length === 3")
    assert page.evaluate("document.activeElement.value") == "64"


def committed(study: str) -> Reported:
    """The committed run of a study, with its figures and findings as they are committed."""
    (folder,) = ROOT.joinpath(RESULTS).glob(f"*/{study}/reference")
    figures = sorted(folder.glob("figures/*.svg"))
    summary = folder / "figures" / "summary.md"
    lines = summary.read_text(encoding="utf-8").splitlines() if summary.is_file() else []
    lines = [line.removeprefix("- ") for line in lines]
    return Reported(read(folder), [Drawn(each.stem, each.stem, each) for each in figures], lines)


def test_a_page_of_four_studies_is_short_and_begins_with_its_answers(opened: Open, tmp_path: Path) -> None:
    file = tmp_path / "four.html"
    file.write_text(document([committed(study) for study in STUDIES_OF_A_PAGE]), encoding="utf-8")
    page = opened(file=file, explorer=False, viewport=DESK)
    height = page.evaluate("document.documentElement.scrollHeight")
    assert 1 < height / DESK["height"] < SCREENS
    answers = page.locator("#short dd")
    assert answers.count() == len(STUDIES_OF_A_PAGE)
    assert all(each.bounding_box()["y"] < DESK["height"] for each in answers.all())  # type: ignore[index]
    assert "native" in answers.first.inner_text()
    headings = [each.get_attribute("id") for each in page.locator("main > section").all()]
    assert headings == ["short", "run-0", "run-1", "run-2", "run-3", "explorer"]
    contents = page.get_by_role("navigation", name="Contents")
    assert contents.bounding_box()["x"] < page.locator("main").bounding_box()["x"]  # type: ignore[index]
    contents.get_by_role("link", name="Findings").first.click()
    page.wait_for_selector("#findings-0[open]")
    page.keyboard.press("End")
    assert contents.get_by_role("link", name="Explorer").is_visible()


def test_what_the_page_is_about_is_on_its_first_screen(opened: Open, tmp_path: Path) -> None:
    """Of two runs the verdicts, of a run what to take."""
    page = opened(explorer=False, viewport=PHONE)
    lead = page.locator("main .lead").first
    assert lead.inner_text().endswith("slower.")
    assert lead.bounding_box()["y"] < PHONE["height"] / 2  # type: ignore[index]
    (tmp_path / "recorded.py").write_text("FIGURES = ()\n")  # drawing is no matter of this test
    run = record(tmp_path / "run", slower={"gather": 0.25}, launches=3)
    page = opened(file=publish([str(run)], tmp_path, tmp_path), explorer=False, viewport=PHONE)
    assert page.locator("h1").inner_text() == "Recorded"
    answer = page.get_by_text("For the values alone (forward), take gather (2 times as fast as native).")
    assert answer.bounding_box()["y"] < PHONE["height"] / 2  # type: ignore[index]


def test_a_figure_is_unfolded_and_folded_again(opened: Open, tmp_path: Path) -> None:
    (tmp_path / "recorded.py").write_text(FIGURE)
    runs = [record(tmp_path / name, launches=3) for name in ("one", "two")]
    page = opened(file=publish(list(map(str, runs)), tmp_path, tmp_path), explorer=False)
    figure = page.locator("details.figure").first
    small = figure.locator("img").bounding_box()
    figure.locator("summary").click()
    figure.locator(".wide img").wait_for()
    assert figure.locator("img").get_attribute("alt") == "curve: curve"
    large = figure.locator("img").bounding_box()
    assert small is not None
    assert large is not None
    assert large["height"] > 1.2 * small["height"]
    figure.locator("summary").click()
    figure.locator("summary img").wait_for()


FIGURE = """
from matplotlib import pyplot as plt

def curve(run):
    figure, axis = plt.subplots(figsize=(2, 1))
    axis.plot([1, 2], [3, 1], color="black")
    return figure

FIGURES = (curve,)
"""

MIDDLE_OF_A_CORNER = """
image => {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
    const drawing = canvas.getContext("2d");
    drawing.drawImage(image, 0, 0);
    return [...drawing.getImageData(3, 3, 1, 1).data].slice(0, 3);
}
"""


@pytest.mark.parametrize(("scheme", "ground"), [("light", [255, 255, 255]), ("dark", [32, 32, 39])])
def test_a_dark_page_has_dark_figures(opened: Open, tmp_path: Path, scheme: str, ground: list[int]) -> None:
    (tmp_path / "recorded.py").write_text(FIGURE)
    run = record(tmp_path / "run", launches=3)
    file = publish([str(run)], tmp_path, tmp_path, tmp_path / "page.html")
    page = opened(file=file, color_scheme=scheme)
    assert page.locator("img.drawn").count() == 1
    page.wait_for_function("document.querySelector('img.drawn').complete")
    assert page.locator("img.drawn").evaluate(MIDDLE_OF_A_CORNER) == ground
    assert not (run / "figures").exists()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_it_is_accessible_and_fits_its_window(opened: Open, scheme: str, size: dict[str, int]) -> None:
    page = opened(color_scheme=scheme, viewport=size)
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    unfold(page)
    page.locator("[data-spec] svg").last.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    assert violations(page) == []
