"""Runs and duels in the formats of others, read back by the tools that they are for."""

from __future__ import annotations

import html
import json
import math
import re
import shutil
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from junitparser import Error, Failure, JUnitXml, Skipped, TestSuite

from harness.cli import cli
from harness.export import FORMATS, Results, export, text_of
from harness.export.markdown import SHOWN, markdown_text
from harness.export.results import plain
from harness.report.doubts import doubts
from harness.study.cells import Case
from harness.study.tables import Gate
from harness.tables import BASE, HEAD, Run, RunWriter, newest_result, read, read_verdicts, write_verdicts
from harness.verdicts.comparison import duel_verdicts
from harness.verdicts.wording import axes_of, case_name, quantity_name
from harness.vocabulary import EXIT_USAGE
from tests.recorded import record
from tests.sidecar import SIDECAR

ROOT = Path(__file__).parent.parent
BENCHMARK = (sys.executable, "-m", "pytest_benchmark")

STATUSES = {"ok": None, "unsupported": Skipped, "skipped": Skipped, "out_of_memory": Skipped} | dict.fromkeys(
    ("timeout", "crashed", "incorrect"), Error
)
VERDICTS = {"same": None, "faster": None, "better": None, "new": None, "inconclusive": Skipped} | dict.fromkeys(
    ("slower", "worse", "lost"), Failure
)

NASTY = "a|b <img src=x> `c` \\| *d*\nsecond line"


def exported(folder: Path, to: str, *arguments: object) -> Result:
    return CliRunner().invoke(cli, ["export", str(folder), "--to", to, *map(str, arguments)])


def cell(case: Case, **own: Any) -> dict[str, Any]:
    usual = {"method": "native", "launch": 1, "status": "ok", "reason": "", "machine": "m", "predicted_bytes": 1}
    return {"case": case.id, **case.axes, **usual, "wall_seconds": 0.5, "compile_seconds": math.nan, **own}


def run_by_hand(folder: Path, cells: list[dict[str, Any]]) -> Run:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_text(json.dumps(SIDECAR))
    with RunWriter(folder, {}) as writer:
        writer.open()
        writer.commit({"cells": cells})
    return read(folder)


def judged(number: int, **own: Any) -> dict[str, Any]:
    """A row of verdicts.csv: the time of a forward."""
    case = Case(n=64 + number, k=4)
    quantity = {"kind": "time", "phase": "forward", "clock": "wall", "tensor": "", "reference": "", "metric": ""}
    figures = {"base": 1e-5, "head": 1.1e-5, "ratio": 1.1, "low": 1.05, "high": 1.15, "launches": 12}
    rest = {"verdict": "same", "detectable": 0.01, "reason": ""}
    return {"case": case.id, "method": "native", **case.axes, **quantity, **figures, **rest, **own}


def duel_by_hand(folder: Path, verdicts: list[dict[str, Any]], head: list[dict[str, Any]] | None = None) -> Path:
    fine = [cell(Case(n=64, k=4))]
    run_by_hand(folder / BASE, fine)
    run_by_hand(folder / HEAD, head or fine)
    write_verdicts(folder, pd.DataFrame(verdicts), {})
    return folder


@pytest.fixture(scope="module")
def duel(smoke: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run `smoke` against itself, judged."""
    folder = tmp_path_factory.mktemp("results") / "machine" / "smoke" / "20990101T000000Z_a_vs_b"
    for side in (BASE, HEAD):
        shutil.copytree(smoke.path, folder / side)
    verdicts = duel_verdicts(read(folder / BASE), read(folder / HEAD), [1, 2], [], Gate())
    write_verdicts(folder, verdicts, {})
    return folder


def outcomes(text: str) -> list[tuple[str, str, Any]]:
    """(classname, name, the one result or None) of every testcase."""
    found = []
    for suite in JUnitXml.fromstring(text.encode()):
        assert isinstance(suite, TestSuite)
        found += [(str(case.classname), str(case.name), next(iter(case.result), None)) for case in suite]
    return found


def cells_of_line(line: str) -> list[str]:
    """The cells of a line of a Markdown table: whatever lies between two bars."""
    assert (line[:2], line[-2:]) == ("| ", " |")
    return line[2:-2].split(" | ")


def shown(marked: str) -> str:
    """What a page shows of Markdown without any mark-up."""
    return html.unescape(re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", marked))


def test_the_benchmarks_are_the_blocks_of_each_cell_and_phase(smoke: Run) -> None:
    found = json.loads(export(smoke.path, "pytest-benchmark"))
    blocks = smoke.timings.groupby(["case", "method", "phase"])["seconds"].apply(list)
    entries = {
        tuple(each["extra_info"][key] for key in ("case", "method", "phase")): each for each in found["benchmarks"]
    }
    assert entries.keys() == set(blocks.index)
    assert len({each["name"] for each in found["benchmarks"]}) == len(entries) == len(found["benchmarks"])
    assert len({each["fullname"] for each in found["benchmarks"]}) == len(entries)
    for key, entry in entries.items():
        stats, seconds = entry["stats"], blocks[key]
        assert stats["data"] == seconds
        assert stats["rounds"] == len(seconds)
        assert (stats["min"], stats["median"], stats["max"]) == (min(seconds), statistics.median(seconds), max(seconds))
        assert stats["mean"] == pytest.approx(sum(seconds) / len(seconds))
    first = smoke.timings.iloc[0]
    entry = entries[first["case"], first["method"], first["phase"]]
    params = entry["params"]
    assert Case.from_axes(params).id == first["case"]
    assert entry["group"] == f"{case_name(params)} {first['phase']}"


def test_the_facts_are_those_of_the_run_and_no_host_name(smoke: Run) -> None:
    found = json.loads(export(smoke.path, "pytest-benchmark"))
    assert found["machine_info"]["node"] == smoke.info["machine"]["slug"]
    assert found["machine_info"]["cpu"]["brand_raw"] == smoke.info["machine"]["cpu"]
    assert (found["commit_info"]["id"], found["commit_info"]["dirty"]) == (smoke.info["commit"], smoke.info["dirty"])
    assert found["datetime"] == smoke.info["begin"]


def test_pytest_benchmark_compares_two_exported_files(smoke: Run, duel: Path, tmp_path: Path) -> None:
    files = [tmp_path / "one.json", tmp_path / "two.json"]
    for source, file in zip((smoke.path, duel), files, strict=True):
        assert exported(source, "pytest-benchmark", "--output", file).exit_code == 0
    done = subprocess.run(
        [*BENCHMARK, "compare", *files, "--group-by", "fullname", "--csv", tmp_path / "table.csv"],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "Failed to load" not in done.stderr
    number = smoke.timings.groupby(["case", "method", "phase"]).ngroups
    assert len(re.findall(r"^-+ benchmark .*: 2 tests -+$", done.stdout, re.MULTILINE)) == number
    table = pd.read_csv(tmp_path / "table.csv")
    assert len(table) == 2 * number
    medians = smoke.timings.groupby(["case", "method", "phase"])["seconds"].median()
    assert sorted(table["median"]) == pytest.approx(sorted([*medians, *medians]))


def test_the_iterations_are_the_median_of_the_calls_of_a_block(tmp_path: Path) -> None:
    run = read(record(tmp_path / "run", launches=3))
    calls = run.timings["launch"].map({1: 5, 2: 7, 3: 100})
    vars(run)["timings"] = run.timings.assign(calls=calls)
    entries = json.loads(text_of(Results(run), "pytest-benchmark"))["benchmarks"]
    assert {each["stats"]["iterations"] for each in entries} == {7}


def test_a_run_that_timed_nothing_has_no_benchmarks(tmp_path: Path) -> None:
    run_by_hand(tmp_path, [cell(Case(n=64, k=4))])
    result = exported(tmp_path, "pytest-benchmark")
    assert (result.exit_code, result.stdout) == (EXIT_USAGE, "")
    assert result.stderr == f"harness: {tmp_path}: this run has no times to export\n"


def test_a_run_is_a_testcase_a_cell_and_launch(smoke: Run) -> None:
    found = outcomes(export(smoke.path, "junit"))
    assert len({name for _, name, _ in found}) == len(found) == len(smoke.cells)
    unlike = smoke.cells[smoke.cells["status"] != "ok"]
    told = [(type(result), result.type, result.message) for _, _, result in found if result is not None]
    want = zip(unlike["status"], unlike["reason"], strict=True)
    assert told == [(STATUSES[status], status, plain(f"{status}: {reason}")) for status, reason in want]


@pytest.mark.parametrize("status", STATUSES)
def test_a_status_is_an_outcome_with_its_reason(tmp_path: Path, status: str) -> None:
    run_by_hand(tmp_path, [cell(Case(n=64, k=4), status=status, reason="because")])
    ((suite, name, result),) = outcomes(export(tmp_path, "junit"))
    assert (suite, name) == ("trial", "native n=64 k=4 rows=1 d=0 float32 cpu, launch 1")
    kind = STATUSES[status]
    assert result is None if kind is None else (type(result), result.message) == (kind, f"{status}: because")


@pytest.mark.parametrize("verdict", VERDICTS)
def test_a_verdict_is_an_outcome_with_its_figures_and_reason(tmp_path: Path, verdict: str) -> None:
    row = judged(0, verdict=verdict, reason="because")
    ((suite, name, result),) = outcomes(export(duel_by_hand(tmp_path, [row]), "junit"))
    assert (suite, name) == ("trial.time", quantity_name(row))
    kind, told = VERDICTS[verdict], f"{verdict}: 1.100x (1.050..1.150); because"
    assert result is None if kind is None else (type(result), result.message) == (kind, told)


def test_a_duel_is_a_testcase_a_quantity(duel: Path) -> None:
    verdicts = pd.read_csv(duel / "verdicts.csv")
    found = outcomes(export(duel, "junit"))
    assert len({(suite, name) for suite, name, _ in found}) == len(found) == len(verdicts)
    assert sum(isinstance(result, Skipped) for *_, result in found) == (verdicts["verdict"] == "inconclusive").sum()


def test_a_broken_cell_of_a_duel_is_told_by_every_summary(tmp_path: Path) -> None:
    broken = cell(Case(n=64, k=4), status="incorrect", reason="dx differs")
    duel_by_hand(tmp_path, [judged(0)], head=[broken])
    (first, _) = outcomes(export(tmp_path, "junit"))
    assert first[0] == "trial.head"
    assert (type(first[2]), first[2].message) == (Error, "incorrect: dx differs")
    lines = export(tmp_path, "markdown").splitlines()
    assert lines[0] == "### trial: nothing slower, worse or lost; 1 broken cell"
    assert cells_of_line(lines[4])[::3] == ["incorrect", "dx differs"]


def test_a_summary_of_a_duel_has_what_is_not_the_same(tmp_path: Path) -> None:
    error = {"kind": "error", "phase": "", "tensor": "dx", "reference": "exact", "metric": "rel_l2", "ratio": 2.0}
    rows = [
        judged(0, verdict="lost", kind="cell", phase="", ratio=float("nan"), reason=NASTY),
        judged(1, verdict="worse", base=1.0, head=2.0) | error,
        judged(2, verdict="slower"),
        judged(3),
    ]
    text = export(duel_by_hand(tmp_path, rows), "markdown")
    assert text.splitlines()[0] == "### trial: 1 lost, 1 worse, 1 slower"
    *_, counts, _, sides = text.splitlines()
    assert counts == "4 quantities: 1 lost, 1 worse, 1 slower, 1 same"  # what failed stands first
    assert sides.startswith("base ")
    table = [[shown(each) for each in cells_of_line(line)] for line in text.splitlines()[2:7]]
    assert table == [
        ["verdict", "quantity", "change", "reason"],
        ["---"] * 4,
        ["lost", quantity_name(rows[0]), "", plain(NASTY)],
        ["worse", quantity_name(rows[1]), "1 -> 2", ""],
        ["slower", quantity_name(rows[2]), "1.100x (1.050..1.150)", ""],
    ]


@pytest.mark.parametrize("number", [0, SHOWN, SHOWN + 1, SHOWN + 7])
def test_a_summary_is_cut_and_says_how_many_more(tmp_path: Path, number: int) -> None:
    rows = [judged(each, verdict="slower") for each in range(number)] + [judged(number)]
    lines = export(duel_by_hand(tmp_path, rows), "markdown").splitlines()
    assert sum(line.startswith("| slower |") for line in lines) == min(number, SHOWN)
    more = [line for line in lines if "more" in line]
    assert more == ([f"... and {number - SHOWN} more: see verdicts.csv"] if number > SHOWN else [])


def test_a_summary_of_a_run_has_a_line_a_method(smoke: Run) -> None:
    lines = export(smoke.path, "markdown").splitlines()
    assert lines[0].startswith(f"### smoke: {len(smoke.cells)} cells: ")
    assert shown(lines[2]).startswith(
        "speed-up over native (2 launches: no interval; run with --launches 3) at k=4|64 "
    )
    table = [cells_of_line(line) for line in lines[4:]]
    assert len({len(line) for line in table}) == 1
    assert (table[0][0], table[0][-1]) == ("method", "cells")
    assert {"forward n=64", "forward n=1024", "backward n=1024", "pipeline n=1024"} < set(table[0])
    methods = [each for each in smoke.cells["method"].unique() if each not in ("copy", "read")]
    assert [shown(line[0]) for line in table[2:]] == methods


@given(st.text())
def test_escaped_text_is_shown_as_it_is_and_marks_nothing_up(text: str) -> None:
    marked = markdown_text(text)
    assert shown(marked) == plain(text)
    assert not re.search(r"[|<>\n\r]", marked)
    assert not re.search(r"[\\`*_~\[\]]", re.sub(r"\\[!-/:-@\[-`{-~]", "", marked))
    assert not re.search(r"&(?!(amp|lt|gt|#124);)", marked)


@given(st.text(), st.text())
def test_any_text_makes_one_cell_of_a_table(one: str, two: str) -> None:
    cells = cells_of_line(f"| {markdown_text(one)} | {markdown_text(two)} |")
    assert [shown(each) for each in cells] == [plain(one), plain(two)]


@given(st.text())
def test_any_text_survives_in_xml(text: str) -> None:
    document = JUnitXml(plain(text))
    written = document.tostring()  # type: ignore[no-untyped-call]
    assert str(JUnitXml.fromstring(written).name or "") == plain(text)


@pytest.mark.parametrize("character", ["\0", "\x1b", "\ud800", "\uffff", "\u202e"])
def test_what_cannot_be_printed_is_replaced(character: str) -> None:
    assert plain(f" a{character}b\r\nc") == "a\ufffdb c"


@given(st.builds(Case, n=st.integers(64, 65), k=st.just(4), seed=st.integers(0, 1), distribution=st.sampled_from(
    ("normal", "uniform")), threads=st.integers(1, 2), parameters=st.sampled_from(((), (("spread", 2.0),)))
), st.builds(Case, n=st.integers(64, 65), k=st.just(4), seed=st.integers(0, 1)))  # fmt: skip
def test_two_cases_have_two_names(one: Case, two: Case) -> None:
    assert (case_name(one.axes) == case_name(two.axes)) == (one == two)
    assert (
        axes_of({"case": one.id, "method": "native", **one.axes, "phase": "forward", "launch": 1}, "phase") == one.axes
    )


def test_verdicts_of_before_there_were_two_clocks_are_read(tmp_path: Path) -> None:
    folder = duel_by_hand(tmp_path, [judged(0), judged(1, kind="error", phase="", clock="", metric="flips")])
    pd.read_csv(folder / "verdicts.csv").drop(columns="clock").to_csv(folder / "verdicts.csv", index=False)
    for side in (BASE, HEAD):
        info = json.loads((folder / side / "run.json").read_text())
        (folder / side / "run.json").write_text(json.dumps(info | {"schema": 3}))
    assert list(read_verdicts(folder)["clock"]) == ["wall", ""]


def test_a_word_means_the_newest_run_or_duel_of_a_study(smoke: Run, duel: Path) -> None:
    results = duel.parents[2]
    assert newest_result(results, "smoke") == duel
    assert newest_result(results, str(duel)) == duel
    assert newest_result(results, str(smoke.path)) == smoke.path
    later = duel.with_name("20990102T000000Z_a")
    shutil.copytree(smoke.path, later)
    assert newest_result(results, "smoke") == later
    shutil.rmtree(later)
    assert newest_result(smoke.path.parents[2], "smoke") == smoke.path


def test_an_export_goes_to_standard_output_or_a_file(duel: Path, tmp_path: Path) -> None:
    text = export(duel, "markdown")
    assert exported(duel, "markdown").stdout == text
    result = exported(duel, "markdown", "--output", tmp_path / "page.md")
    assert (result.exit_code, result.output) == (0, "")
    assert (tmp_path / "page.md").read_text(encoding="utf-8") == text


@pytest.mark.parametrize(
    ("word", "to", "output", "words"),
    [
        ("smoke", "markdwn", "", ("unknown format 'markdwn'", *FORMATS, "did you mean 'markdown'?")),
        ("smok", "junit", "", ("unknown run 'smok'", "did you mean 'smoke'?")),
        ("no/such/folder", "junit", "", ("no/such/folder",)),
        ("smoke", "junit", "no/such/file", ("no/such/file", "No such file")),
        ("broken", "junit", "", ("broken", "head/run.json", "No such file")),
    ],
)
def test_a_bad_word_is_one_line(
    smoke: Run, tmp_path: Path, word: str, to: str, output: str, words: tuple[str, ...]
) -> None:
    if word == "broken":
        word = str(tmp_path / "broken")
        Path(word).mkdir()
        (Path(word) / "verdicts.csv").write_text("")
    arguments = ["--results", smoke.path.parents[2], *(["--output", tmp_path / output] if output else [])]
    result = CliRunner().invoke(cli, ["export", word, "--to", to, *map(str, arguments)])
    assert (result.exit_code, result.stdout) == (EXIT_USAGE, ""), result.output
    (line,) = result.stderr.splitlines()
    assert line.startswith("harness: ")
    assert all(each in line for each in words), line


def test_a_summary_has_a_table_for_each_device(tmp_path: Path) -> None:
    cases = [Case(n=64, k=4, device=device) for device in ("cpu", "cuda")]
    text = export(
        record(tmp_path / "run", launches=3, cases=cases, seconds={"native": 1e-4, "gather": 2e-4}), "markdown"
    )
    for device in ("cpu", "cuda"):
        assert re.search(
            rf"^{device}, by the wall clock: speed-up over native .* d=0 float32 {device}$", text, re.MULTILINE
        )
    assert len(re.findall(r"^\| gather \|.*\| 3 ok \|$", text, re.MULTILINE)) == 2
    assert text.startswith("### recorded: 12 cells: 12 ok\n\n")


def test_a_summary_tells_what_makes_its_times_doubtful(tmp_path: Path) -> None:
    folder = record(tmp_path / "run", launches=3, seconds={"native": 1e-4, "gather": 1e-7, "read": 1e-5})
    doubt = next(doubts(read(folder)))
    assert plain(html.unescape(re.sub(r"\\(.)", r"\1", export(folder, "markdown").splitlines()[-1]))) == plain(doubt)
