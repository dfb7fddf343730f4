"""The HTML page of runs: its answer against tables by hand, what it carries, and that it is one file which is safe."""

from __future__ import annotations

import base64
import gzip
import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from harness.cli.publish import REPORT, publish
from harness.errors import UserError
from harness.page.answer import beware, which_method
from harness.page.charts import changes_chart, error_chart, explorer_frame, fastest_map
from harness.page.compared import Comparison, _why_undecided, judged
from harness.page.contents import names
from harness.page.document import document
from harness.page.exactness import exactness, exactness_sentences, exactness_tables
from harness.page.packing import Carried, packed
from harness.page.provenance import machine_line
from harness.page.reported import Reported
from harness.page.rows import carried
from harness.report.closing import methods_table
from harness.tables import KEY, Run, read
from harness.verdicts.fastest import UNRANKED, fastest
from harness.verdicts.judge import TOO_FEW
from tests.payload import payload_of
from tests.recorded import record
from tests.suite_sides import INFO


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """native, and gather at half of its time; three launches."""
    return read(record(tmp_path / "run", slower={"gather": 0.25}, launches=3))


def column(values: Any) -> list[Any]:
    return [values["words"][place] for place in values["at"]] if isinstance(values, dict) else values


def carried_of(run: Run) -> Carried:
    """At most ten blocks of it."""
    return carried(run, Reported(run).standings, None, 10)


def test_the_fastest_method_is_the_one_that_is_surely_faster(run: Run) -> None:
    best = fastest(run.timings)
    assert list(best["method"]) == ["gather", "gather"]
    assert best["speedup"].to_numpy() == pytest.approx([2, 2], rel=0.02)
    (table,) = which_method(best)
    assert table.columns == ("method", "forward")
    assert [row[0] for row in table.rows] == ["gather"]
    assert table.rows[0][1].startswith("2 of 2 cases, ")


def test_what_is_slower_leaves_the_case_to_native(tmp_path: Path) -> None:
    slow = read(record(tmp_path / "slow", launches=3))
    assert list(fastest(slow.timings)["method"]) == ["native", "native"]
    assert not any("no interval" in line for line in beware(slow))


@pytest.mark.parametrize("launches", [1, 2])
def test_under_three_launches_nothing_is_ranked_and_the_page_says_what_to_do(tmp_path: Path, launches: int) -> None:
    few = read(record(tmp_path / "few", slower={"gather": 0.25}, launches=launches))
    assert list(which_method(fastest(few.timings))) == []
    assert fastest_map(fastest(few.timings)) == (None, "")
    count = "1 launch" if launches == 1 else "2 launches"
    told = f"{count}: no interval; run with --launches 3. No method can be distinguished from native."
    assert told in list(beware(few))
    (carried_by,) = payload_of(document([Reported(few)]))["runs"]
    time = carried_by["tables"]["time"]
    assert {"speedup_low", "speedup_high", "multiple_low", "multiple_high"}.isdisjoint(time)
    assert set(column(time["standing"])) == {UNRANKED, ""}


ERRORS = [
    ("native", "dx", "exact", "rel_l2", 0.25, 0.5),
    ("native", "selection", "exact", "flips", 0.0, 2.0),
    ("gather", "dx", "exact", "rel_l2", 0.125, 0.75),
    ("gather", "selection", "exact", "flips", 0.0, 0.0),
    ("gather", "dx", "native", "rel_l2", 0.0, 0.0625),
    ("gather", "dx", "native", "cause_tie", 0.0, 3.0),
    ("gather", "dx", "native", "cause_association", 0.0, 0.0),
]
"""method, tensor, reference, metric, its value in each of the two cases."""


def with_errors(run: Run) -> Run:
    """The run with these errors in place of its own."""
    keys = run.discrepancies.drop(columns=["tensor", "of", "reference", "metric", "value"]).drop_duplicates()
    rows = []
    for method, tensor, reference, metric, *values in ERRORS:
        mine = keys[keys["method"] == method].assign(tensor=tensor, of="method", reference=reference, metric=metric)
        rows.append(mine.assign(value=values))
    run.__dict__["discrepancies"] = pd.concat(rows, ignore_index=True)
    return run


def test_errors_are_told_where_the_selection_is_right_and_flips_are_counted_beside_them(run: Run) -> None:
    against_exact, against_native = exactness_tables(exactness(with_errors(run)))
    assert against_exact.columns == ("dtype", "unit roundoff", "dx", "an index flipped in")
    assert against_exact.rows == (("float32", "6.0e-08", "7.5e-01", "1 of 4 cells"),)
    assert against_native.columns == ("method", "dx", "entries that differ")
    assert against_native.rows == (("gather", "6.2e-02", "tie 3"),)


def test_exactness_is_told_in_sentences_and_nan_is_no_small_error(run: Run) -> None:
    found = with_errors(run)
    assert [each.striptags() for each in exactness_sentences(exactness(found))] == [
        "gather differs from native, in dx by up to 0.062 of its size: another of several equal values is picked.",
        "Where the selection is right, a tensor is off the exact answer, relative to its size, by at most 0.75 in "
        "float32.",
        "A wrong index was selected in 1 of 4 cells in float32: there the gradient is far off.",
    ]
    errors = found.discrepancies
    against_native = (errors["reference"] == "native") & (errors["metric"] == "rel_l2")
    run.__dict__["discrepancies"] = errors.assign(value=errors["value"].where(~against_native, [np.nan, 0.0] * 7))
    assert next(exactness_sentences(exactness(run))).striptags().startswith("gather differs from native, in dx by NaN:")
    assert list(exactness_tables(exactness(run)))[1].rows == (("gather", "NaN", "tie 3"),)
    run.__dict__["discrepancies"] = errors.assign(value=0.0)
    assert [each.striptags() for each in exactness_sentences(exactness(run))] == [
        "gather returns the same numbers as native: no entry of dx differs.",
        "Where the selection is right, every tensor is the exact answer.",
        "No wrong index was selected in any cell.",
    ]


def test_verdicts_begin_with_how_many_got_worse(tmp_path: Path) -> None:
    """A count of instructions alone fails nothing; a time that was decided by its count does."""
    run = read(record(tmp_path / "run", launches=3))

    def lead(*verdicts: tuple[str, str], reasons: Sequence[str] = ("",)) -> list[str]:
        table = pd.DataFrame([{"kind": kind, "verdict": verdict} for kind, verdict in verdicts])
        rows = table.assign(
            ratio=np.nan,
            low=np.nan,
            high=np.nan,
            reason=[*reasons] * (len(table) // len(reasons)),
            base=1.0,
            head=1.0,
            phase="",
            clock="",
        )
        keys = run.cells.loc[[0] * len(rows), list(run.cells)[: list(run.cells).index("launch")]]
        rows = pd.concat([keys.reset_index(drop=True), rows.assign(tensor="", reference="", metric="")], axis=1)
        told: list[str] = judged(Comparison(run, run, rows))["lead"]
        return told

    assert lead(("time", "same"), ("time", "same")) == [
        "Nothing is slower, worse or lost: 2 quantities were compared.",
        "The others: 2 same.",
    ]
    assert lead(("time", "slower"), ("time", "more"), ("instructions", "more"), ("time", "inconclusive")) == [
        "2 of 4 quantities got worse: 1 slower, 1 with more instructions.",
        "1 could not be decided: the interval of the change crosses the tolerance.",
        "The others: 1 with more instructions.",
    ]
    assert lead(("cell", "lost")) == ["1 of 1 quantity got worse: 1 lost."]
    undecided, few = [("time", "inconclusive")] * 2, f"{TOO_FEW}; 1.000x the instructions"
    assert lead(*undecided, reasons=[few])[1] == "2 could not be decided: there are fewer than 8 launches."
    mixed = lead(*undecided, reasons=["not sure: +3.0 %", few])[1]
    assert mixed.endswith(": the interval of the change crosses the tolerance, or there are fewer than 8 launches.")


def test_every_kind_of_reason_for_an_undecided_quantity_is_named() -> None:
    crossing, short = "the interval of the change crosses the tolerance", f"there are {TOO_FEW}"
    missing = "figures to compare are missing or NaN"

    def why(*reasons: str) -> str:
        return _why_undecided(pd.DataFrame({"verdict": "inconclusive", "reason": reasons}))

    for reason in (
        "crashed: ValueError: no",
        "one of its figures is NaN",
        "it was never measured on both sides at once",
    ):
        assert why(reason) == missing
    assert why("not sure: +3.0 % (2.1..3.9)") == crossing
    unconfirmed = "not confirmed: +9.0 % (8.0..9.9), and +0.0 % (-0.3..0.3) in the second set of launches"
    assert why(unconfirmed) == "the second set of launches did not confirm the change"
    assert why("not sure: +3.0 %", f"{TOO_FEW} (it has 3)", "one of its counts is not a number") == (
        f"{crossing}, or {short}, or {missing}"
    )


def test_a_figure_that_several_launches_have_counts_once(run: Run) -> None:
    """Its worst launch counts: the duels' errors are of two launches at least."""
    once = with_errors(run)
    tables, methods = list(exactness_tables(exactness(once))), methods_table(once).rows
    rows = once.discrepancies
    again = rows[rows["metric"] != "rel_l2"].assign(launch=2)
    smaller = rows[rows["metric"] == "rel_l2"].assign(launch=2, value=0.0)
    run.__dict__["discrepancies"] = pd.concat([rows, again, smaller], ignore_index=True)
    assert list(exactness_tables(exactness(run))) == tables
    assert methods_table(run).rows.equals(methods)


def test_what_to_beware_of_is_told_once_for_each_method_and_kind_of_reason(tmp_path: Path) -> None:
    broken = read(record(tmp_path / "run", status={"gather": "crashed"}, launches=3, dirty=True, end=None))
    lines = list(beware(broken))
    assert "gather: 2 cells crashed: planted" in lines
    assert any("has not ended" in line for line in lines)
    assert any("uncommitted changes" in line for line in lines)
    sizes = broken.cells.assign(reason=[f"needs {9000 + place} bytes" for place in range(len(broken.cells))])
    broken.__dict__["cells"] = sizes
    assert [line for line in beware(broken) if "crashed" in line] == [
        f"gather: 2 cells crashed, such as: {sizes[sizes['method'] == 'gather']['reason'].iloc[-1]}"
    ]


def test_the_page_carries_the_medians_of_the_tables_and_every_block(run: Run) -> None:
    page = document([Reported(run)])
    (told,) = payload_of(page)["runs"]
    assert set(told["tables"]) == {"time", "rounds", "memory", "error"}
    assert told["blocks"] == len(run.timings) == len(column(told["tables"]["rounds"]["seconds"]))
    cells = pd.DataFrame({name: column(values) for name, values in told["cells"].items()})
    times = pd.DataFrame({name: column(values) for name, values in told["tables"]["time"].items()})
    rows = times.join(cells, on="cell").set_index(["case", "method", "phase"])["seconds"].sort_index()
    expected = run.timings.groupby(["case", "method", "phase"])["seconds"].median()
    assert list(rows.index) == list(expected.index)
    assert rows.to_numpy() == pytest.approx(expected.to_numpy(), rel=1e-5)
    values = column(told["tables"]["error"]["value"])
    assert values == run.discrepancies["value"].tolist()


def test_more_blocks_than_may_be_carried_are_sampled_and_it_is_known_how_many_there_were(run: Run) -> None:
    rows = carried_of(run)
    assert (len(rows.tables["rounds"]), rows.blocks) == (10, len(run.timings))
    assert set(rows.tables["rounds"]["seconds"]) <= set(run.timings["seconds"])
    assert not rows.tables["rounds"].duplicated().any()


def test_what_is_not_a_number_is_carried_as_such(run: Run) -> None:
    errors = run.discrepancies
    run.__dict__["discrepancies"] = errors.assign(value=[np.nan, np.inf, *errors["value"].tolist()[2:]])
    text = gzip.decompress(base64.b64decode(packed([("", carried_of(run))]))).decode()
    assert column(json.loads(text)["runs"][0]["tables"]["error"]["value"])[:2] == [None, "inf"]


def test_the_page_asks_for_nothing_and_may_not(run: Run) -> None:
    page = document([Reported(run)])
    assert "default-src 'none'" in page
    assert page.count("</script") == 5
    markup = re.sub(r"(<(script|style)[^>]*>).*?</\2>", r"\1", page, flags=re.DOTALL)
    addresses = re.findall(r'(?:src|href|action)="([^"]*)"', markup)
    assert addresses
    assert [each for each in addresses if not each.startswith("#")] == []


def test_a_run_that_timed_nothing_has_no_look_up(tmp_path: Path) -> None:
    run = read(record(tmp_path / "run"))
    run.__dict__["timings"] = run.timings.iloc[:0]
    page = document([Reported(run)])
    assert "data-lookup" not in page.partition("<main>")[2].partition("</main>")[0]
    assert "time" not in payload_of(page)["runs"][0]["tables"]


def test_charts_are_specifications_that_name_no_address(run: Run) -> None:
    fastest_one, setting = fastest_map(fastest(run.timings))
    assert "distribution = normal" in setting
    for spec in (fastest_one, error_chart(with_errors(run)), explorer_frame()):
        assert spec is not None
        assert "http" not in json.dumps(spec)
        assert spec["description"]


def test_a_ratio_of_zero_is_not_drawn_on_a_logarithmic_axis(run: Run) -> None:
    keys = run.cells[[*KEY]].drop_duplicates("method").reset_index(drop=True)
    quantity = {"kind": "memory", "phase": "forward", "clock": "", "tensor": "", "reference": "", "metric": ""}
    verdicts = keys.assign(**quantity, verdict="better", ratio=[0.0, 0.5, math.inf], low=0.5, high=0.5)
    spec = changes_chart(verdicts)
    assert spec is not None
    drawn = [row["ratio"] for rows in spec["datasets"].values() for row in rows if "ratio" in row]
    assert drawn == [0.5]
    assert changes_chart(verdicts.iloc[:1]) is None


def test_an_end_of_an_interval_that_is_infinite_is_left_out(run: Run) -> None:
    keys = run.cells[[*KEY]].drop_duplicates("method").reset_index(drop=True)
    quantity = {"kind": "instructions", "phase": "forward", "clock": "", "tensor": "", "reference": "", "metric": ""}
    verdicts = keys.assign(**quantity, verdict="more", ratio=2.0, low=[1.0, math.nan, 0.5], high=math.inf, reason="")
    page = document([Reported(run)], [Comparison(run, run, verdicts.assign(base=1.0, head=2.0))])
    assert "Infinity" not in page.partition("<main>")[2].partition("</main>")[0]
    spec = changes_chart(verdicts)
    assert spec is not None
    drawn = [(row["low"], row["high"]) for rows in spec["datasets"].values() for row in rows if "ratio" in row]
    assert drawn == [(1.0, None), (None, None), (0.5, None)]


def test_two_runs_of_a_study_are_compared_and_a_refusal_is_told(tmp_path: Path) -> None:
    (tmp_path / "recorded.py").write_text("FIGURES = ()\n")  # drawing is no matter of this test
    base, head = (record(tmp_path / name) for name in ("base", "head"))
    slower = record(tmp_path / "slower", slower={"gather": 1.5})
    alone = publish([str(base)], tmp_path, tmp_path, tmp_path / "one.html").read_text()
    assert 'id="verdicts-' not in alone
    pair = publish([str(base), str(slower)], tmp_path, tmp_path, tmp_path / "two.html").read_text()
    assert re.search(r"slower</th>\s*<td[^>]*>gather n=64", pair)
    assert "verdicts" in payload_of(pair)["runs"][1]["tables"]
    assert "verdicts" not in payload_of(pair)["runs"][0]["tables"]
    info = json.loads((head / "run.json").read_text())
    (head / "run.json").write_text(json.dumps(info | {"machine": {"slug": "elsewhere"}}))
    refused = publish([str(base), str(head)], tmp_path, tmp_path, tmp_path / "no.html").read_text()
    assert re.search("No verdicts: .*machine.*elsewhere", refused)


def test_the_report_lies_in_the_results_unless_told_otherwise(tmp_path: Path) -> None:
    (tmp_path / "recorded.py").write_text("FIGURES = ()\n")  # drawing is no matter of this test
    folder = record(tmp_path / "here" / "recorded" / "20260101T000000Z_x")
    assert publish(["recorded"], tmp_path, tmp_path) == tmp_path / REPORT
    assert "Recorded" in (tmp_path / REPORT).read_text()
    with pytest.raises(UserError, match="unknown run 'recorder'"):
        publish(["recorder"], tmp_path, tmp_path)
    with pytest.raises(UserError, match="directory"):
        publish([str(folder)], tmp_path, tmp_path, tmp_path)


def test_a_report_leaves_the_run_as_it_is(tmp_path: Path) -> None:
    """The run may be a committed one, and another matplotlib would draw other bytes."""
    folder = record(tmp_path / "run")
    (folder / "figures").mkdir()
    (folder / "figures" / "seconds.png").write_text("drawn elsewhere")
    (tmp_path / "recorded.py").write_text(
        "from matplotlib import pyplot\n"
        "def seconds(run):\n    'Seconds, drawn.'\n    return pyplot.figure()\n"
        "FIGURES = (seconds,)\n"
    )
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert "Seconds, drawn." in publish([str(folder)], tmp_path, tmp_path).read_text()
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_comparison_without_a_change_says_so(tmp_path: Path) -> None:
    run = read(record(tmp_path / "run"))
    rows = pd.DataFrame({"verdict": ["same"], "kind": ["time"], "ratio": [1.0], "low": [0.99], "high": [1.01]})
    keys = run.cells.iloc[:1].drop(columns=[name for name in run.cells if name in ("launch", "status", "reason")])
    table = (
        keys.iloc[:, :13]
        .reset_index(drop=True)
        .join(rows.assign(phase="forward", clock="wall", tensor="", reference="", metric=""))
    )
    page = document([Reported(run)], [Comparison(run, run, table.assign(reason=""))])
    assert "All of them are the same." in page


def test_a_figure_that_could_not_be_drawn_is_named(tmp_path: Path) -> None:
    run = record(tmp_path / "run")
    (tmp_path / "recorded.py").write_text("def bad(run):\n    raise ValueError('no')\nFIGURES = (bad,)\n")
    said: list[str] = []
    page = publish([str(run)], tmp_path, tmp_path, say=said.append).read_text()
    assert "Figures that could not be drawn from this run: bad." in page
    assert said == [f"no figure bad: {tmp_path / 'recorded.py'}:2: ValueError: no"]


def test_a_figure_of_what_was_never_asked_for_is_not_missed(tmp_path: Path) -> None:
    run = record(tmp_path / "run")
    script = "from harness.errors import NotAsked\n\ndef other(run):\n    raise NotAsked('no')\n\nFIGURES = (other,)\n"
    (tmp_path / "recorded.py").write_text(script)
    assert "could not be drawn" not in publish([str(run)], tmp_path, tmp_path).read_text()


def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    (tmp_path / "recorded.py").write_text("FIGURES = ()\n")  # drawing is no matter of this test
    run = record(tmp_path / "run")
    with pytest.raises(UserError, match=re.escape(f"{tmp_path / 'no' / 'page.html'}: No such file")):
        publish([str(run)], tmp_path, tmp_path, tmp_path / "no" / "page.html")


def test_the_machine_of_a_run_and_of_a_suite_is_told_in_one_way() -> None:
    machine = {"slug": "here", "cpu": "Some CPU", "cores": 2, "accelerator": "Some GPU"}
    assert machine_line({"machine": machine, "torch": {"torch": "2.x"}}) == "Some CPU, 2 cores, Some GPU, torch 2.x"
    assert machine_line({"machine": {"slug": "here"}}) == "torch unknown"
    assert machine_line(INFO | {"machine": machine}) == "Some CPU, 2 cores, Some GPU, Python 3.11.7"


def begun(folder: Path, begin: str, study: str = "recorded") -> Run:
    return Run(folder, {"study": study, "begin": begin})


def test_runs_of_one_study_have_names_that_tell_them_apart(tmp_path: Path) -> None:
    """Three runs of a minute, and two duels of the same study."""
    early, late, later = (
        begun(tmp_path / name, f"2026-01-01T10:0{minute}:{second}+00:00")
        for name, minute, second in (("a", 0, 11), ("b", 0, 42), ("c", 1, 11))
    )
    assert names([early, late, later], []) == [
        "recorded, 2026-01-01 10:00:11", "recorded, 2026-01-01 10:00:42", "recorded, 2026-01-01 10:01",
    ]  # fmt: skip
    assert names([early, later], [Comparison(early, later, None)]) == ["recorded, base", "recorded, head"]
    other = begun(tmp_path / "d", "2026-01-01T11:00:00+00:00")
    duels = [Comparison(early, later, None), Comparison(late, other, None)]
    found = names([early, later, late, other], duels)
    assert found[:2] == ["recorded, base, 2026-01-01 10:00:11", "recorded, head, 2026-01-01 10:01:11"]
    assert len(set(found)) == 4
    assert names([early, begun(tmp_path / "e", early.info["begin"], "other")], []) == ["recorded", "other"]


def test_both_sides_of_one_commit_have_labels_of_their_own(tmp_path: Path) -> None:
    """As in a duel of two interpreters: the explorer offers both, and a reader must know which is which."""
    base, head = (read(record(tmp_path / name, launches=3, commit="1a2b3c4d")) for name in ("base", "head"))
    page = document([Reported(base), Reported(head)], [Comparison(base, head, None, "no")])
    assert [run["label"].rpartition(", ")[2] for run in payload_of(page)["runs"]] == ["base", "head"]


def test_without_native_the_page_says_why_there_is_no_answer(tmp_path: Path) -> None:
    for name, seconds in (("without", {"gather": 1e-4, "read": 1e-5}), ("alone", {"native": 1e-4, "read": 1e-5})):
        page = document([Reported(read(record(tmp_path / name, launches=3, seconds=seconds)))])
        assert "No method can be compared with native: no case has the time of native and" in page
