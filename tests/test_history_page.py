"""The page of a history: what a judged run saw is in it, by figures worked out by hand; it is one file, and safe."""

from __future__ import annotations

import base64
import json
import math
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from harness.cli.publish import publish_history
from harness.history.changes import changes_of
from harness.history.charts import trend_frame
from harness.history.document import Kept, history_document
from harness.history.points import study_histories, tables_of
from harness.page.packing import packed
from harness.tables import append_history, write_verdicts
from harness.verdicts.steps import steps
from harness.vocabulary import EXIT_USAGE
from tests.command_line import call
from tests.judged_runs import CASES, ERROR, begin, chain, commit, history
from tests.payload import payload_of
from tests.recorded import judged


def points(rows: pd.DataFrame, kind: str = "time") -> pd.DataFrame:
    """The points of the one study of a history."""
    (study,) = study_histories(rows)
    return tables_of(study, steps(rows))[kind]


def test_what_a_single_judged_run_saw_lies_between_its_two_points() -> None:
    (point,) = points(chain([1.5])).to_dict("records")
    assert (point["change_base"], point["change"]) == pytest.approx((1.0, 1.5))
    assert (point["change_low"], point["change_high"]) == pytest.approx((1.485, 1.515))
    assert (point["reads_base"], point["reads"]) == pytest.approx((2.0, 3.0))
    assert (point["seconds_base"], point["seconds"]) == pytest.approx((2e-6, 3e-6))
    assert (point["ratio_base"], point["ratio"], point["seen"]) == pytest.approx((1.0, 1.5, 1.5))
    assert (point["base"], point["head"], point["number"]) == (commit(0)[:8], commit(1)[:8], 1)


def test_every_run_is_over_the_first_base_of_its_quantity() -> None:
    rows = points(chain([1.0, 1.5, 1.0, 0.5]))
    assert rows["change"].tolist() == pytest.approx([1.0, 1.5, 1.5, 0.75])
    assert rows["change_base"].tolist() == pytest.approx([1.0, 1.0, 1.5, 1.5])
    assert rows["seen"].tolist() == pytest.approx([math.nan, 1.5, math.nan, 0.5], nan_ok=True)
    assert rows["number"].tolist() == [1, 2, 3, 4]


def test_a_time_of_which_only_the_level_is_known_begins_at_its_first_level() -> None:
    rows = chain([1.5, 1.0]).assign(ratio=[math.nan, 1.0], base=[math.nan, 1e-6], verdict=["new", "same"])
    found = points(rows)
    assert found["change"].tolist() == pytest.approx([1.0, 1.0])
    assert math.isnan(found["change_base"].iloc[0])
    assert math.isnan(found["seen"].iloc[0])


def test_an_error_that_was_0_has_its_figures_and_no_change() -> None:
    rows = chain([1.0, 1.0], **ERROR).assign(base=[0.0, 0.0], head=[0.0, 2.0], level=[0.0, 2.0], ratio=[1.0, math.inf])
    rows = rows.assign(verdict=["same", "worse"], low=rows["ratio"], high=rows["ratio"])
    found = points(rows, "error")
    assert (found["error_base"].tolist(), found["error"].tolist()) == ([0.0, 0.0], [0.0, 2.0])
    assert found["change"].tolist() == pytest.approx([0.0, 1.0])  # over the first figure that is above 0
    assert found["seen"].tolist()[1] == math.inf
    assert "seconds" not in found


def test_memory_and_instructions_are_told_in_their_units() -> None:
    for kind, name in (("memory", "bytes"), ("instructions", "instructions")):
        rows = chain([2.0], kind=kind, clock="").assign(base=4096.0, head=8192.0, level=8192.0)
        (point,) = points(rows, kind).to_dict("records")
        assert (point[f"{name}_base"], point[name], point["change"]) == (4096.0, 8192.0, 2.0)


def test_the_first_run_after_a_step_of_a_trend_says_so() -> None:
    rows = chain([1.0] * 6 + [1.2] + [1.0] * 5)
    found = points(rows.assign(ratio=1.0, verdict="same"))  # which no run saw, since each began anew
    assert found["step"].dropna().to_dict() == {6: pytest.approx(1.2)}
    assert found["seen"].isna().all()


def test_a_run_that_was_judged_twice_counts_once_and_studies_are_apart() -> None:
    rows = pd.concat([chain([1.0, 1.0]), chain([1.0, 1.5]), chain([1.0], study="other", begin=begin(9))])
    newest, oldest = study_histories(rows)
    assert (newest.study, oldest.study) == ("other", "trial")
    assert (len(newest.runs), len(oldest.runs), len(oldest.rows)) == (1, 2, 2)
    assert oldest.rows["verdict"].tolist() == ["same", "slower"]  # as it was judged last


def test_what_changed_is_told_for_each_run_the_gravest_first() -> None:
    one, two = chain([1.0, 1.1, 1.0]), chain([1.0, 1.3, 1.0], case=CASES[1])
    faster = chain([0.9, 1.0, 1.0], phase="backward")
    rows = pd.concat([one, two, faster])
    (study,) = study_histories(rows)
    newest, oldest = changes_of(study, steps(rows), 0)
    assert (newest.head, newest.base, newest.begin) == (commit(2)[:8], commit(1)[:8], begin(1))
    assert (newest.seen, newest.steps, newest.left_out) == ("2 slower", "", 0)
    assert [line.text for line in newest.lines] == [
        "slower: gather n=128 k=4 rows=1 d=0 bfloat16 cpu, wall time of forward: 1.300x (1.287..1.313)",
        "slower: gather n=64 k=4 rows=1 d=0 float32 cpu, wall time of forward: 1.100x (1.089..1.111)",
    ]
    assert "dtype=bfloat16" in newest.lines[0].address
    assert "phase=forward" in newest.lines[0].address
    assert oldest.seen == "1 faster"


def test_of_many_changes_of_a_run_six_are_named() -> None:
    rows = pd.concat([chain([1.5], method=f"m{number}") for number in range(8)])
    (study,) = study_histories(rows)
    (change,) = changes_of(study, steps(rows), 0)
    assert (len(change.lines), change.left_out) == (6, 2)


def test_what_is_left_out_is_counted_in_words() -> None:
    assert "And 1 older run with changes, which the trends below show." in page_of(chain([1.1] * 21))
    many = page_of(pd.concat([chain([1.1] * 23, method=f"m{number}") for number in range(7)]))
    assert "And 3 older runs with changes, which the trends below show." in many
    assert "and 1 more, which the trends below show" in many


def test_a_cell_that_is_lost_is_a_change_though_it_has_no_figures() -> None:
    rows = pd.concat(
        [chain([1.0]), chain([1.0], kind="cell", phase="", clock="").assign(verdict="lost", ratio=math.nan)]
    )
    (study,) = study_histories(rows)
    (change,) = changes_of(study, steps(rows), 0)
    assert change.lines[0].text == "lost: gather n=64 k=4 rows=1 d=0 float32 cpu, the cell"


def page_of(rows: pd.DataFrame, kept: dict[tuple[str, str], Kept] | None = None) -> str:
    return history_document([rows], "here", kept)


def test_without_a_change_the_page_says_so_and_begins_anywhere() -> None:
    page = page_of(chain([1.0, 1.0]))
    assert "No judged run saw a change, and no trend steps." in page
    assert json.loads(re.findall(r'id="settings">(.*?)</script>', page)[0])["first"] == ""


def test_the_page_names_twenty_changed_runs_and_says_how_many_there_are_besides() -> None:
    assert "older runs with changes" not in page_of(chain([1.5, 0.8] * 10))
    page = page_of(chain([1.5, 0.8] * 11))
    assert "And 2 older runs with changes" in page
    assert page.count('<h3 id="change-') == 20


def test_equal_rows_give_equal_pages_whenever_they_are_written() -> None:
    assert base64.b64decode(packed([]))[4:8] == bytes(4)  # where gzip has the time


def test_the_page_carries_every_study_with_its_runs() -> None:
    rows = pd.concat([chain([1.0, 1.5]), chain([1.0], study="other", **ERROR)])
    trial, other = payload_of(page_of(rows))["runs"]
    assert (trial["label"], list(trial["tables"]), list(other["tables"])) == ("trial", ["time"], ["error"])
    first, second = trial["judged"]
    assert (first["counts"], second["counts"], second["number"]) == ("1 same", "1 slower", 2)
    assert trial["tables"]["time"]["change"] == [1.0, 1.5]


def test_the_page_asks_for_nothing_and_has_links_to_the_reports_that_are_there() -> None:
    kept = {
        ("trial", begin(0)): Kept(report="trial/a%20b/report.html"),
        ("trial", begin(1)): Kept(arguments="here/duel"),
    }
    page = page_of(chain([1.0, 1.0, 1.0]), kept)
    assert "default-src 'none'" in page
    assert page.count("</script") == 5
    markup = re.sub(r"(<(script|style)[^>]*>).*?</\2>", r"\1", page, flags=re.DOTALL)
    addresses = [each for each in re.findall(r'(?:src|href|action)="([^"]*)"', markup) if not each.startswith("#")]
    assert addresses == ["trial/a%20b/report.html"]
    assert "<code>harness report here/duel</code>" in markup


HOSTILE = "</script><img src=x onerror=alert(1)><!-- \u2028 ${d} {{ e }} \" '"


def test_hostile_text_of_a_history_is_shown_as_text() -> None:
    words: dict[str, Any] = dict.fromkeys(
        ("method", "distribution", "torch", "begin", "base_commit", "head_commit"), HOSTILE
    )
    page = page_of(chain([1.5], **words))
    assert page.count("</script") == 5
    assert "<img" not in re.sub(r"(<(script|style)[^>]*>).*?</\2>", r"\1", page, flags=re.DOTALL)
    assert HOSTILE in payload_of(page)["runs"][0]["cells"]["method"]["words"]


def test_the_chart_is_a_specification_that_names_no_address() -> None:
    spec = trend_frame()
    assert "http" not in json.dumps(spec)
    assert spec["description"]


def results_of(folder: Path, rows: pd.DataFrame) -> Path:
    """A folder of results with this history of the machine `there`."""
    append_history(folder / "there" / "history.csv", rows)
    return folder


def test_the_verb_writes_the_page_beside_the_history_or_where_it_is_told(tmp_path: Path) -> None:
    results = results_of(tmp_path / "results", chain([1.0, 1.5]))
    command = ("history", "--machine", "there", "--results", str(results))
    told = call(*command, "--page")
    assert told.exit_code == 0, told.output
    assert told.stdout.splitlines()[-1] == str(results / "there" / "history.html")
    assert sorted(each.name for each in (results / "there").iterdir()) == ["history.csv", "history.html"]
    assert call(*command, "--output", str(tmp_path / "mine.html")).exit_code == 0
    assert (tmp_path / "mine.html").read_bytes() == (results / "there" / "history.html").read_bytes()
    refused = call(*command, "--reports")
    assert (refused.exit_code, refused.stderr) == (
        EXIT_USAGE,
        "harness: history: --reports is for --page, which links to them\n",
    )
    nowhere = call(*command, "--output", str(tmp_path / "no" / "page.html"))
    assert (nowhere.exit_code, nowhere.stderr.count("\n")) == (EXIT_USAGE, 1)


@pytest.fixture
def duelled(tmp_path: Path) -> Path:
    """Results in which the newest judged run is a duel that is still there; a report of it can be made."""
    duel = tmp_path / "there" / "recorded" / "20260101T000000Z_head_vs_base"
    duel.mkdir(parents=True)
    verdicts, _, head = judged(duel)
    write_verdicts(duel, verdicts, {})
    rows = chain([1.0], study="recorded", begin=head.info["begin"])
    return results_of(tmp_path, pd.concat([chain([1.0], study="recorded", begin="2025"), rows]))


def test_the_reports_of_judged_runs_are_written_where_they_are_missing_and_linked(duelled: Path) -> None:
    folder = next(duelled.glob("there/recorded/*"))
    (duelled / "recorded.py").write_text("FIGURES = ()\n")  # drawing is no matter of this test
    command = ("history", "--machine", "there", "--results", str(duelled), "--studies", str(duelled), "--page")
    assert call(*command).exit_code == 0
    page = duelled / "there" / "history.html"
    assert f"harness report {folder} --output {folder / 'report.html'}" in page.read_text()
    told = call(*command, "--reports")
    assert told.exit_code == 0, told.output
    assert (folder / "report.html").is_file()
    assert f'href="recorded/{folder.name}/report.html"' in page.read_text()
    before = (folder / "report.html").stat().st_mtime_ns
    assert call(*command, "--reports").exit_code == 0
    assert (folder / "report.html").stat().st_mtime_ns == before


def test_a_report_that_cannot_be_written_is_told_and_the_page_is_written(duelled: Path) -> None:
    folder = next(duelled.glob("there/recorded/*"))
    (folder / "report.html").mkdir()
    told = call("history", "--machine", "there", "--results", duelled, "--studies", duelled, "--page", "--reports")
    assert told.exit_code == 0, told.output
    assert f"no report of {folder}: {folder / 'report.html'}: " in told.stdout
    assert (duelled / "there" / "history.html").is_file()


def test_the_page_in_another_folder_links_to_the_same_reports(duelled: Path, tmp_path: Path) -> None:
    folder = next(duelled.glob("there/recorded/*"))
    (folder / "report.html").write_text("")
    (folder.parent / "broken" / "head").mkdir(parents=True)
    (folder.parent / "broken" / "head" / "run.json").write_text("{")
    rows = chain([1.0], study="recorded", begin="2026-01-01T00:00:00+00:00")
    (tmp_path / "elsewhere").mkdir()
    page = publish_history(duelled / "there", [rows], tmp_path / "elsewhere" / "page.html")
    assert f'href="../there/recorded/{folder.name}/report.html"' in page.read_text()


def test_a_commit_with_changes_in_none_is_not_blamed() -> None:
    row: Any = points(chain([1.5]).assign(head_commit="c" * 40 + "-dirty")).iloc[0]
    assert row["head"] == "cccccccc-dirty"
    rows = pd.concat([history([1.0] * 6), history([2.0] * 6).assign(begin=[begin(run) for run in range(6, 12)])])
    assert steps(rows.assign(head_commit=rows["head_commit"] + "-dirty"))["head_commit"].str.endswith("-dirty").all()
