"""An axis of no size, a study without a cell, a duel of which nothing could be measured: one line, or verdicts."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

import harness
from harness.cli import cli
from harness.duel import duel
from harness.duel.origin import Origin
from harness.errors import UserError
from harness.machine import Revision
from harness.planning.loading import load_study_of
from harness.study.definition import Study
from harness.tables import read
from harness.verdicts.comparison import duel_verdicts
from tests.fake_worker import SMALL, in_their_place
from tests.recorded import record as recorded

WriteStudy = Callable[[str], Study]


@pytest.mark.parametrize(
    ("axis", "told"),
    [
        ("n = 0", "axes.n.0: Input should be greater than or equal to 1, got 0"),
        ("n = []", "axes.n: "),
        ("n = 16\nrows = 0", "axes.rows.0: Input should be greater than or equal to 1, got 0"),
        ("n = 16\nrows = []", "axes.rows: "),
        ("n = 16\nthreads = 0", "axes.threads.0: "),
        ("n = 16\nd = -1", "axes.d.0: "),
        ("n = 16\ndtype = []", "axes.dtype: "),
    ],
)
def test_an_axis_of_no_size_is_refused(write_study: WriteStudy, tmp_path: Path, axis: str, told: str) -> None:
    with pytest.raises(UserError) as caught:
        write_study(SMALL.replace("n = [16, 64]", axis))
    assert str(caught.value).startswith(f"{tmp_path / 'trial.toml'}: {told}")


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("k = [1, 4]", "k = 0", "n = 16: k = 0 is 0, dropped (1 <= k <= n)"),
        ("k = [1, 4]", "k = [65, 100]", "n = 16: k = 65 is 65, dropped (1 <= k <= n)"),
        ("n = [16, 64]\nk = [1, 4]", 'n = 3\nk = "n/4"', "n = 3: k = n/4 is 0, dropped (1 <= k <= n)"),
        ("[timing]", "[[exclude]]\nk = [1, 4]\n[timing]", ""),
    ],
)
def test_a_study_without_a_case_plans_nothing_and_leaves_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str, after: str, told: str
) -> None:
    in_their_place(monkeypatch)
    (tmp_path / "trial.toml").write_text(SMALL.replace(before, after))
    places = ["--studies", str(tmp_path)]
    planned = CliRunner().invoke(cli, ["plan", "trial", *places])
    assert planned.exit_code == 0
    assert "nothing to measure" in planned.output
    assert "expected time" not in planned.output
    done = CliRunner().invoke(cli, ["run", "trial", *places, "--results", str(tmp_path / "results")])
    assert done.exit_code == 2
    assert done.stderr == f"harness: trial: no cell is left to measure{told and '; '}{told}\n"
    assert not (tmp_path / "results").exists()


def test_no_device_of_the_study_leaves_no_folder(
    write_study: WriteStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_their_place(monkeypatch)
    study = write_study(SMALL.replace("[axes]", '[axes]\ndevice = "cuda"'))
    with pytest.raises(UserError, match=r"torch finds no device of this study \(cuda\); here it finds cpu$"):
        harness.run(study, tmp_path / "results", say=lambda _: None)
    assert not (tmp_path / "results").exists()


def test_a_duel_without_a_cell_is_refused_too(
    write_study: WriteStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_their_place(monkeypatch)
    base = Origin(Path.cwd(), sys.executable, Revision("0" * 40, False))
    with pytest.raises(UserError, match=r"^trial: no cell is left to measure; n = 16: k = 100 is 100"):
        duel(write_study(SMALL.replace("k = [1, 4]", "k = 100")), base, tmp_path / "results")
    assert not (tmp_path / "results").exists()


def test_a_duel_of_which_every_cell_crashed_has_verdicts(tmp_path: Path) -> None:
    crashed = dict.fromkeys(("native", "gather", "read"), "crashed")
    base, head = (read(recorded(tmp_path / name, status=crashed)) for name in ("base", "head"))
    verdicts = duel_verdicts(base, head, range(1, 13), [], load_study_of(head).gate)
    assert set(verdicts["verdict"]) == {"inconclusive"}
    assert set(verdicts["method"]) == {"native", "gather"}
