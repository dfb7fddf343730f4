"""A duel against another copy of the harness: what is measured, what is told, and what is refused."""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner

import harness
from harness.cli import cli
from harness.duel import Duel, duel, sets
from harness.duel.base_only import base_only
from harness.duel.launches import Launches
from harness.duel.origin import Origin, base_origin
from harness.errors import UserError
from harness.machine import Revision
from harness.planning.loading import plan_of
from harness.repository.checkout import checked_out
from harness.session.case_result import CaseResult, CellResult
from harness.study.cells import Case, Cell
from harness.tables import read_verdicts
from harness.worker.protocol import PROTOCOL
from tests.scratch_history import Commit, make_history

ROOT = Path(__file__).parent.parent
STUDY = """
title = "Short"
methods = ["native", "gather", "fused"]
phases = ["forward", "pipeline"]
[axes]
n = 256
k = 4
d = 2
[timing]
block_seconds = 0.0002
rounds = 3
launches = 2
budget_seconds = 600
[precision]
tensors = ["dx"]
references = ["exact"]
metrics = ["ulp_max"]
"""
FARTHER = """
import dataclasses

from harness.methods.gather import fused as _fused

make = _fused.make
fused = dataclasses.replace(_fused, make=lambda: dataclasses.replace(make(), project=moved(make().project, 1)))
"""


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the harness without `gather`, with an `older`, and a `fused` whose dx is an ulp off."""
    folder = tmp_path_factory.mktemp("other")
    shutil.copytree(ROOT / "harness", folder / "harness", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "tests/acceptance", folder / "tests/acceptance")
    methods = folder / "harness" / "methods"
    text = (methods / "gather.py").read_text(encoding="utf-8")
    (methods / "gather.py").write_text(text.replace("def gather()", "def older()"), encoding="utf-8")
    faults = (ROOT / "tests" / "planted" / "faults.py").read_text(encoding="utf-8")
    (methods / "zz_farther.py").write_text(faults + FARTHER, encoding="utf-8")
    (folder / "short.toml").write_text(STUDY.replace('"gather"', '"older"'), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def fought(other: Path, tmp_path_factory: pytest.TempPathFactory) -> Duel:
    folder = tmp_path_factory.mktemp("fought")
    (folder / "short.toml").write_text(STUDY, encoding="utf-8")
    base = Origin(other, sys.executable, Revision("0123456789abcdef", dirty=False))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sets, "LOOKS", (2,))
        return duel(harness.load_study(folder / "short.toml"), base, folder, studies=Path(), say=lambda _: None)


def test_both_sides_take_turns_in_the_same_rounds(fought: Duel) -> None:
    columns = ["case", "method", "phase", "launch", "round", "calls"]
    base, head = (run.timings.query("method in ('native', 'fused')")[columns] for run in (fought.base, fought.head))
    assert set(map(tuple, base.to_numpy())) == set(map(tuple, head.to_numpy()))
    both = pd.concat([fought.base.timings, fought.head.timings])
    assert set(both["launch"]) == {1, 2}
    for _, positions in both.groupby(["launch", "round"])["position"]:
        assert sorted(positions) == list(range(len(positions)))


def test_each_side_says_what_it_is_of(fought: Duel) -> None:
    assert fought.base.info["commit"] == "0123456789abcdef"
    assert fought.path.name.endswith("_vs_01234567")  # one torch and one Python: the commits are all that differs
    assert fought.base.info["end"]
    assert fought.head.info["end"]


def test_what_only_one_side_has_is_new_or_lost(fought: Duel) -> None:
    cells = fought.verdicts.query("kind == 'cell'").set_index("method")
    assert cells["verdict"].to_dict() == {"gather": "new", "older": "lost"}
    assert cells["reason"].to_dict() == {
        "gather": "skipped: the base does not have it",
        "older": "it is not in the head",
    }


def test_an_ulp_is_better_or_worse(fought: Duel) -> None:
    errors = fought.verdicts.query("kind == 'error'").set_index("method")
    farther, nearer = errors[["base", "head"]].to_numpy(dtype=float)[list(errors.index).index("fused")]
    assert 0.5 < abs(farther - nearer) < 1.1
    assert errors["verdict"].to_dict() == {"native": "same", "fused": "better" if farther > nearer else "worse"}


def test_errors_are_measured_in_two_launches_to_see_whether_they_vary(fought: Duel) -> None:
    for run in (fought.base, fought.head):
        assert set(run.discrepancies["launch"]) == {1, 2}
    assert set(fought.verdicts.query("kind == 'error'")["launches"]) == {2}


@pytest.mark.parametrize(
    ("later", "vary"),
    [({"m": [["dx", 1.0]]}, False), ({"m": [["dx", 1.5]]}, True), ({"m": [["dx", math.nan]]}, True), ({}, False)],
)
def test_errors_that_vary_are_measured_in_every_launch(later: dict[str, list[Any]], vary: bool) -> None:
    """What only one launch has, as a method that only the base knows, says nothing."""
    case = Case(n=64, k=4)

    def results(figures: dict[str, list[Any]]) -> list[CaseResult]:
        return [CaseResult([CellResult(Cell(case, method, 0), figures=own) for method, own in figures.items()])]

    fight = Launches.__new__(Launches)
    fight.errors_before, fight.errors_vary = {}, set()
    for figures in ({"m": [["dx", 1.0]], "older": [["dx", 2.0]]}, later):
        fight._compare_errors(case, results(figures))
    assert fight.errors_vary == ({case.id} if vary else set())


def test_two_launches_decide_no_time(fought: Duel) -> None:
    decided = fought.verdicts.query("kind == 'time'")["verdict"]
    assert set(decided) == {"inconclusive"}
    assert len(decided) == 2 + 1  # native forward and pipeline, fused pipeline


def test_the_sidecar_of_the_verdicts_says_what_the_sides_are(fought: Duel) -> None:
    told = json.loads((fought.path / "verdicts.json").read_text(encoding="utf-8"))
    for name, run in (("base", fought.base), ("head", fought.head)):
        torch = run.info["torch"]
        want = {"commit": run.info["commit"], "dirty": run.info["dirty"]}
        assert told[name] == want | {key: torch[key] for key in ("torch", "python", "build")}


def test_the_verdicts_are_read_back(fought: Duel) -> None:
    back = read_verdicts(fought.path)
    assert list(back["verdict"]) == list(fought.verdicts["verdict"])
    assert back["ratio"].notna().sum() == fought.verdicts["ratio"].notna().sum()


@pytest.mark.parametrize("text", ["methods = 5", "title = " + "[" * 5000, "methods = [5, 'native']", "title ="])
def test_a_study_file_of_the_base_that_makes_no_sense_lists_no_method(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    for side, content in (("head", 'title = "T"\nmethods = "native"\n[axes]\nn = 8\nk = 2\n'), ("base", text)):
        (tmp_path / side / "studies").mkdir(parents=True)
        (tmp_path / side / "studies" / "trial.toml").write_text(content)
    monkeypatch.chdir(tmp_path / "head")
    study = harness.load_study("trial")
    base = Origin(tmp_path / "base", sys.executable, Revision("b" * 40, dirty=False))
    assert not any(base_only(base, study, Path("studies"), plan_of(study)).values())


def test_it_is_a_verb(tmp_path: Path) -> None:
    """The working tree against itself under the same interpreter: one launch decides nothing."""
    (tmp_path / "short.toml").write_text(STUDY.replace("seconds = 600", "seconds = 1"), encoding="utf-8")
    arguments = ["duel", "short", "--base-python", sys.executable, "--strict", "--only", "method=native"]
    result = CliRunner().invoke(cli, [*arguments, "--studies", str(tmp_path), "--results", str(tmp_path / "results")])
    assert result.exit_code == 3, result.output
    assert re.search(r"^\d+ quantities: .* inconclusive", result.stdout, re.MULTILINE)
    assert list((tmp_path / "results").glob("*/history.csv"))


def test_a_commit_without_the_current_folder_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_history(tmp_path, [Commit({"a": "1"}), Commit({"later/b": "2"})])
    monkeypatch.chdir(tmp_path / "later")
    with checked_out("HEAD") as folder:
        assert (folder / "b").read_text() == "2"
    with pytest.raises(UserError, match=r"^cannot check out 'HEAD~1': it has no folder later/$"), checked_out("HEAD~1"):
        raise AssertionError


def test_a_commit_is_checked_out_and_put_away() -> None:
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True)
    with base_origin("HEAD", None) as base:
        assert base.revision == Revision(commit.stdout.strip(), dirty=False)
        assert (base.folder / "pyproject.toml").is_file()
        assert base.interpreter == sys.executable
    assert not base.folder.exists()
    assert str(base.folder) not in worktrees()


def test_it_is_put_away_whatever_happens() -> None:
    made: list[Path] = []

    def interrupted() -> None:
        with base_origin("HEAD", None) as base:
            made.append(base.folder)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not made[0].exists()
    assert str(made[0]) not in worktrees()


def worktrees() -> str:
    """What git lists."""
    listed = subprocess.run(["git", "worktree", "list"], cwd=ROOT, capture_output=True, text=True, check=True)
    return listed.stdout


def test_a_base_without_a_harness_is_not_duelled_as_the_head(tmp_path: Path) -> None:
    """The interpreter finds this checkout from anywhere; an old commit must not be measured by its code."""
    (tmp_path / "short.toml").write_text(STUDY, encoding="utf-8")
    (tmp_path / "empty").mkdir()
    base = Origin(tmp_path / "empty", sys.executable, Revision("none", dirty=False))
    with pytest.raises(UserError, match=r"the base's .*(has no harness of its own|No module named|another protocol)"):
        duel(harness.load_study(tmp_path / "short.toml"), base, tmp_path)


def test_a_relative_interpreter_is_found_from_another_folder() -> None:
    with base_origin("HEAD", "./some/python") as base:
        assert base.interpreter == str(Path.cwd() / "some/python")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--base-rev", "no-such-branch"], "no commit 'no-such-branch'"),
        (["--base-python", "/no/such/python"], "/no/such/python: No such file"),
        (["--base-python", "/bin/false"], "duel: the base's worker: /bin/false cannot start one"),
        (["--base-python", "/bin/echo"], "/bin/echo started something that speaks another protocol"),
        ([], "name a --base-rev or a --base-path, a --base-python, or both"),
        (["--base-rev", "HEAD", "--base-path", "."], "name a --base-rev or a --base-path, not both"),
        (["--base-path", "no/such/folder"], "duel: no/such/folder: there is no folder"),
        (["--base-rev", "HEAD", "--quantity", "tme"], "--quantity tme: unknown quantity 'tme'"),
        (["--base-rev", "HEAD", "--only", "k=3"], "k in this study '3'"),
    ],
)
def test_what_cannot_fight_ends_with_2_and_one_line(tmp_path: Path, arguments: list[str], words: str) -> None:
    (tmp_path / "short.toml").write_text(STUDY, encoding="utf-8")
    result = CliRunner().invoke(cli, ["duel", "short", *arguments, "--studies", str(tmp_path)])
    assert result.exit_code == 2
    assert words in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_study_without_times_is_refused(tmp_path: Path) -> None:
    (tmp_path / "still.toml").write_text(STUDY.partition("[timing]")[0], encoding="utf-8")
    base = Origin(ROOT, sys.executable, Revision("none", dirty=False))
    with pytest.raises(UserError, match=r"needs a study with a \[timing\] table"):
        duel(harness.load_study(tmp_path / "still.toml"), base, tmp_path)


def test_another_protocol_is_refused(other: Path, tmp_path: Path) -> None:
    elsewhere = shutil.copytree(other, tmp_path / "elsewhere")
    worker = elsewhere / "harness" / "worker" / "protocol.py"
    text = re.sub(r"^PROTOCOL = \d+", "PROTOCOL = 1", worker.read_text(encoding="utf-8"), flags=re.MULTILINE)
    worker.write_text(text, encoding="utf-8")
    (tmp_path / "short.toml").write_text(STUDY, encoding="utf-8")
    base = Origin(elsewhere, sys.executable, Revision("none", dirty=False))
    with pytest.raises(UserError, match=f"speaks protocol 1, this harness {PROTOCOL}: .*the base is too old") as caught:
        duel(harness.load_study(tmp_path / "short.toml"), base, tmp_path)
    assert "\n" not in str(caught.value)
