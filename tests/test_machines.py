"""A run of several machines is read as what each of them measured: nothing mixes their times."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from harness.cli.publish import publish
from harness.errors import UserError
from harness.tables import Run, by_machine, of_one_machine, read
from harness.verdicts.ratios import launch_medians, paired_log_ratios
from tests.command_line import call
from tests.recorded import CASES, record

FAST, SLOW = "fast_2-cores", "slow_2-cores"
KINDS = {slug: {"slug": slug, "cpu": slug, "cores": 2, "torch": {"torch": f"2.{slug}"}} for slug in (FAST, SLOW)}
SCRIPT = """
from matplotlib.figure import Figure


def counted(run):
    "How many cells there are."
    figure = Figure()
    figure.text(0, 0, str(len(run.cells)))
    return figure


FIGURES = [counted]
"""


def of_cluster(folder: Path, *slugs: str, **info: Any) -> Run:
    """A recorded run of a cluster; each case is of the next of these machines in turn, in all launches."""
    machine = {"slug": "cluster-0123abcd", "machines": KINDS}
    record(folder, machine=machine, **info)
    path = folder / "cells.csv"
    cells = pd.read_csv(path, keep_default_na=False)
    where = {case.id: slugs[place % len(slugs)] for place, case in enumerate(CASES)}
    cells.assign(machine=cells["case"].map(where)).to_csv(path, index=False)
    return read(folder)


@pytest.fixture
def mixed(tmp_path: Path) -> Run:
    return of_cluster(tmp_path / "mixed", FAST, SLOW)


def test_each_part_has_the_rows_and_the_facts_of_its_machine(mixed: Run) -> None:
    parts = by_machine(mixed)
    assert [each.part for each in parts] == [FAST, SLOW]
    for part, case in zip(parts, CASES, strict=True):
        for table in ("cells", "timings", "memory", "discrepancies"):
            rows: pd.DataFrame = getattr(part, table)
            whole: pd.DataFrame = getattr(mixed, table)
            assert not rows.empty
            assert rows.equals(whole[whole["case"] == case.id].reset_index(drop=True))
        assert part.info["machine"] == {"slug": part.part, "cpu": part.part, "cores": 2}
        assert part.info["torch"] == {"torch": f"2.{part.part}"}
    assert by_machine(parts[0]) == [parts[0]]


def test_a_case_that_went_elsewhere_is_in_both_parts_by_its_launches(mixed: Run) -> None:
    path = mixed.path / "cells.csv"
    cells = pd.read_csv(path, keep_default_na=False)
    cells["machine"] = cells["launch"].map(lambda launch: FAST if launch <= 4 else SLOW)
    cells.to_csv(path, index=False)
    first, second = by_machine(read(mixed.path))
    assert set(first.timings["launch"]) == {1, 2, 3, 4}
    assert set(second.timings["launch"]) == set(range(5, 13))
    assert len(first.timings) + len(second.timings) == len(mixed.timings)
    assert len(first.discrepancies) == len(mixed.discrepancies)  # errors are of the first launch
    assert second.discrepancies.empty


def test_a_cluster_of_one_kind_of_machine_is_read_as_that_machine(tmp_path: Path) -> None:
    run = of_cluster(tmp_path / "one", FAST)
    (only,) = by_machine(run)
    assert (only.info["machine"]["slug"], only.part, only.figures) == (FAST, "", run.figures)
    assert only.timings.equals(run.timings)
    assert of_one_machine(run).info["machine"] == only.info["machine"]


def test_a_run_of_this_machine_is_itself(tmp_path: Path) -> None:
    run = read(record(tmp_path / "plain", machine={"slug": "here"}))
    assert by_machine(run) == [run]
    (folder := tmp_path / "empty").mkdir()
    (folder / "run.json").write_text(json.dumps(dict(run.info)))
    assert by_machine(read(folder)) == [read(folder)]


def test_a_machine_whose_facts_are_lost_keeps_its_name(tmp_path: Path) -> None:
    first, _ = by_machine(of_cluster(tmp_path / "lost", "unheard-of", SLOW))
    assert first.info["machine"] == {"slug": "unheard-of"}


@pytest.mark.parametrize("name", ["../../elsewhere", "/elsewhere", "a/b", ".", ""])
def test_a_machine_that_is_no_name_of_a_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=r"lost/cells\.csv: machine .* cannot be the name of a folder"):
        by_machine(of_cluster(tmp_path / "lost", name, SLOW))


@pytest.mark.parametrize("verb", ["compare", "export"])
def test_what_takes_times_together_refuses_several_machines(mixed: Run, tmp_path: Path, verb: str) -> None:
    plain = record(tmp_path / "plain")
    rest = ["--to", "markdown"] if verb == "export" else [plain]
    for words in ([mixed.path, *rest], [plain, mixed.path]) if verb == "compare" else ([mixed.path, *rest],):
        done = call(verb, *words, *(["--results", tmp_path] if verb == "compare" else []))
        assert done.exit_code == 2
        (line,) = done.output.splitlines()
        assert f"{mixed.path}: measured on several machines ({FAST}, {SLOW})" in line


def test_runs_of_a_cluster_of_one_kind_compare_with_those_of_that_machine(tmp_path: Path) -> None:
    cluster = of_cluster(tmp_path / "base", FAST, commit="0")
    alone = record(tmp_path / "head", machine={"slug": FAST}, commit="0")
    done = call("compare", cluster.path, alone, "--results", tmp_path)
    assert done.exit_code == 0, done.output
    other = record(tmp_path / "other", machine={"slug": SLOW}, commit="0")
    done = call("compare", cluster.path, other, "--results", tmp_path)
    assert (done.exit_code, "machine" in done.output) == (2, True)


def test_figures_and_the_report_are_of_each_machine(mixed: Run, tmp_path: Path) -> None:
    (studies := tmp_path / "studies").mkdir()
    (studies / "recorded.py").write_text(SCRIPT)
    done = call("plot", mixed.path, "--studies", studies)
    assert done.exit_code == 0, done.output
    folders = [mixed.path / "figures" / slug for slug in (FAST, SLOW)]
    assert done.output.splitlines() == [str(folder / "counted.png") for folder in folders]
    page = publish([str(mixed.path)], tmp_path, studies).read_text()
    for slug in (FAST, SLOW):
        assert f"{mixed.path.name[:8]}, {slug}" in page
        assert f"{slug}, 2 cores, torch 2.{slug}" in page
    assert "not comparable" not in page
    assert "measured on several" not in page


def test_the_closing_table_is_of_each_machine(mixed: Run, tmp_path: Path) -> None:
    from harness.report.terminal import closing

    lines = list(closing(mixed, tmp_path, None))
    assert [line for line in lines if line.startswith("on ")] == [f"on {FAST}:", f"on {SLOW}:"]
    assert [line.split()[1] for line in lines if line.startswith("  ")] == ["n=64", "n=256"]
    assert sum(line.startswith("files: ") for line in lines) == 1


def test_what_one_machine_says_of_itself_does_not_depend_on_the_others(tmp_path: Path, mixed: Run) -> None:
    alone = read(Path(shutil.copytree(mixed.path, tmp_path / "alone")))
    medians = launch_medians(paired_log_ratios(alone.timings), ["case"], "log_ratio")
    for part, case in zip(by_machine(mixed), CASES, strict=True):
        mine = launch_medians(paired_log_ratios(part.timings), ["case"], "log_ratio")
        assert mine.equals(medians[medians["case"] == case.id].reset_index(drop=True))
