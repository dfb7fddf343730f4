"""What a run that goes on must be: of the same code, torch, study and cells; and what it keeps. Workers are fakes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner

import harness
from harness.cli import cli
from harness.errors import UserError
from harness.machine import code_digest
from harness.session import runs
from harness.session.folder import write_info
from harness.session.place import ThisMachine
from harness.study.definition import Study
from harness.tables import Run, read
from harness.vocabulary import EXIT_USAGE
from tests.fake_worker import SMALL, FakeWorker, in_their_place, measured

WriteStudy = Callable[[str], Study]
BOTH = SMALL.replace("[axes]", '[axes]\ndevice = ["cpu", "cuda"]')


def stopped(run: Run, folder: Path, lines: int, **info: Any) -> Path:
    """A copy of a run that was stopped after so many lines of its log."""
    copy = Path(shutil.copytree(run.path, folder))
    write_info(copy, dict(run.info) | {"end": None} | info)
    log = (copy / "cells.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    (copy / "cells.csv").write_text("".join(log[: 1 + lines]), encoding="utf-8")
    return copy


def resumed(folder: Path, studies: Path) -> Run:
    return runs.resume(folder, studies, say=lambda _: None)


def test_what_was_measured_on_a_device_that_is_absent_now_is_kept(
    write_study: WriteStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_their_place(monkeypatch, lambda: FakeWorker(devices=("cpu", "cuda")))
    whole = measured(write_study(BOTH), tmp_path)
    folder = stopped(whole, tmp_path / "stopped", lines=len(whole.cells) // 2)
    before = read(folder)
    kept = before.cells.query("device == 'cuda'"), before.timings.query("device == 'cuda' and launch == 1")
    assert len(kept[0]) > 0
    in_their_place(monkeypatch)
    after = resumed(folder, tmp_path)
    assert after.cells.query("device == 'cuda'").reset_index(drop=True).equals(kept[0].reset_index(drop=True))
    assert len(after.timings.query("device == 'cuda' and launch == 1")) == len(kept[1]) > 0
    assert set(after.cells.query("launch == 2")["device"]) == {"cpu"}


@pytest.mark.parametrize(
    ("info", "words"),
    [
        ({"digests": {"code": "000000000000"}, "commit": "c" * 40}, ("code 000000000000", "c" * 40)),
        ({"torch": {"torch": "1.x", "devices": ["cpu"]}}, ("torch 1.x", "2.x")),
    ],
    ids=["code", "torch"],
)
def test_another_code_or_torch_does_not_go_on(
    write_study: WriteStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, info: dict[str, Any], words: tuple[str]
) -> None:
    in_their_place(monkeypatch)
    folder = stopped(measured(write_study(SMALL), tmp_path), tmp_path / "stopped", 4, **info)
    tables = {path: path.read_bytes() for path in folder.glob("*.csv")}
    with pytest.raises(UserError) as caught:
        resumed(folder, tmp_path)
    assert all(word in str(caught.value) for word in (str(folder), *words))
    assert {path: path.read_bytes() for path in folder.glob("*.csv")} == tables


def test_a_run_says_by_which_code_it_was_measured(
    write_study: WriteStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_their_place(monkeypatch)
    run = measured(write_study(SMALL), tmp_path)
    assert run.info["digests"]["code"] == code_digest()


def test_a_side_of_a_duel_does_not_go_on(
    write_study: WriteStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_their_place(monkeypatch)
    run = measured(write_study(SMALL), tmp_path)
    (tmp_path / "duel" / "head").mkdir(parents=True)
    with pytest.raises(UserError, match="one side of a duel"):
        resumed(stopped(run, tmp_path / "duel" / "base", 4), tmp_path)


def test_cells_that_are_not_planned_are_refused_not_cut_off(
    write_study: WriteStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_their_place(monkeypatch)
    run = measured(write_study(SMALL), tmp_path)
    folder = stopped(run, tmp_path / "stopped", 4, text=SMALL.replace("n = [16, 64]", "n = 64"))
    (tmp_path / "trial.toml").unlink()
    log = (folder / "cells.csv").read_bytes()
    with pytest.raises(UserError, match=r"cells\.csv: case [0-9a-f]{12} has 4 cells, 0 are planned"):
        resumed(folder, tmp_path)
    assert (folder / "cells.csv").read_bytes() == log


def test_a_narrowed_study_is_recorded_so_and_goes_on_so(
    write_study: WriteStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_study(SMALL)
    in_their_place(monkeypatch)
    study = harness.load_study(tmp_path / "trial.toml", only=["n=16", "k=4"]).with_launches(3)
    run = measured(study, tmp_path)
    assert run.info["only"] == ["n=16", "k=4"]
    assert (set(run.cells["n"]), set(run.cells["launch"])) == ({16}, {1, 2, 3})
    again = resumed(stopped(run, tmp_path / "stopped", 4), tmp_path)
    assert sorted(again.cells["case"]) == sorted(run.cells["case"])
    assert again.cells["launch"].max() == 3


@pytest.mark.parametrize("option", [("--only", "n=16"), ("--launches", "3"), ("--baseline",)], ids=lambda each: each[0])
def test_an_option_that_resume_would_not_obey_is_refused(tmp_path: Path, option: tuple[str, ...]) -> None:
    (tmp_path / "run.json").write_text(json.dumps({}))
    result = CliRunner().invoke(cli, ["run", "--resume", str(tmp_path), *option])
    assert result.exit_code == EXIT_USAGE
    assert option[0] in result.stderr


def test_a_place_is_good_for_several_runs(
    write_study: WriteStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = in_their_place(monkeypatch)
    study = write_study(SMALL)
    with ThisMachine() as here:
        for name in ("one", "two"):
            run = harness.run(study, tmp_path / name, tmp_path, lambda _: None, place=here)
            assert set(run.cells["status"]) == {"ok"}
    assert all(each.stopped for each in made)


def test_a_run_that_went_on_took_the_seconds_of_both_parts(
    write_study: WriteStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_their_place(monkeypatch)
    run = measured(write_study(SMALL), tmp_path)
    folder = stopped(run, tmp_path / "stopped", 4)
    cells = pd.read_csv(folder / "cells.csv", keep_default_na=False)
    cells.assign(wall_seconds=250.0).to_csv(folder / "cells.csv", index=False)
    assert 1000 < resumed(folder, tmp_path).info["took_seconds"] < 1100


def test_a_run_names_the_one_core_of_its_cases_of_one_thread(
    write_study: WriteStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def of_four_cores() -> FakeWorker:
        worker = FakeWorker()
        worker.cores = (3, 2, 1)
        return worker

    in_their_place(monkeypatch, of_four_cores)
    assert measured(write_study(SMALL), tmp_path).info["pinned_to"] == [3]
