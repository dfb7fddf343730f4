"""Folders of results: two at once, paths of any letters, whatever is left of a file. Workers are fakes."""

from __future__ import annotations

import random
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import harness
from harness.errors import UserError
from harness.session import runs
from harness.session.folder import write_info
from harness.study.definition import Study
from harness.tables import Busy, RunWriter, append_history, read, read_history, read_verdicts, write_verdicts
from harness.verdicts.history import history_rows
from tests.command_line import call
from tests.fake_worker import DRAWS, SMALL, FakeWorker, Reply, in_their_place, measured
from tests.keys import KEYS, keys_of
from tests.recorded import judged

WriteStudy = Callable[[str], Study]


# In use


def test_of_two_that_resume_one_run_the_second_is_told_and_the_first_finishes(
    write_study: WriteStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = write_study(SMALL)
    in_their_place(monkeypatch)
    whole = measured(study, tmp_path / "undisturbed")
    folder = Path(shutil.copytree(whole.path, tmp_path / "run"))
    write_info(folder, dict(whole.info) | {"end": None})
    (folder / "cells.csv").write_text((folder / "cells.csv").read_text()[:2000])
    refused: list[str] = []

    def meanwhile(request: Reply) -> None:
        if not refused:
            refused.append("")
            with pytest.raises(Busy) as caught:
                runs.resume(folder, tmp_path, say=lambda _: None)
            refused.append(str(caught.value))

    in_their_place(monkeypatch, lambda: FakeWorker(meanwhile))
    resumed = runs.resume(folder, tmp_path, say=lambda _: None)
    assert refused[1:] == [f"{folder}: another run is writing here"]
    assert keys_of(resumed) == keys_of(whole)


def test_a_lock_that_was_let_go_of_while_one_waited_is_not_taken_for_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever opened the file before its owner removed it would lock what nobody else sees."""
    path_open = Path.open

    def slow(path: Path, *arguments: Any, **options: Any) -> Any:
        opened = path_open(path, *arguments, **options)
        if path.name == ".lock":
            monkeypatch.undo()
            path.unlink()
        return opened

    monkeypatch.setattr(Path, "open", slow)
    with RunWriter(tmp_path, {}), pytest.raises(Busy):
        RunWriter(tmp_path, {})


TWO = """
import sys
from datetime import UTC, datetime
from pathlib import Path
import pytest
import harness
from harness.session import folder as run_folder
from tests.fake_worker import in_their_place
folder = Path(sys.argv[1])
with pytest.MonkeyPatch.context() as patched:
    in_their_place(patched)
    patched.setattr(run_folder, "utc_now", lambda: datetime(2026, 1, 1, tzinfo=UTC))
    study = harness.load_study(folder / "trial.toml")
    print(flush=True)
    sys.stdin.readline()
    print(harness.run(study, folder / "results", say=lambda _: None).path)
"""


def test_two_runs_begun_in_the_same_second_have_a_folder_each(write_study: WriteStudy, tmp_path: Path) -> None:
    write_study(SMALL)
    two = [
        subprocess.Popen(
            [sys.executable, "-c", TWO, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    for each in two:
        assert each.stdout is not None
        each.stdout.readline()
    for each in two:
        assert each.stdin is not None
        each.stdin.write("\n")
        each.stdin.flush()
    folders = {Path(each.communicate(timeout=120)[0].strip()) for each in two}
    assert len(folders) == 2
    one, other = (harness.read(folder) for folder in sorted(folders))
    assert other.path.name == f"{one.path.name}_2"
    assert keys_of(one) == keys_of(other)
    assert one.info["end"]
    assert other.info["end"]


# Paths


def test_results_may_lie_on_a_path_with_spaces_and_letters_of_any_alphabet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "mit Leer'zeichen, é ẞ 結果 $HOME"
    studies, results = folder / "studies", folder / "results"
    studies.mkdir(parents=True)
    (studies / "trial.toml").write_text(SMALL)
    (studies / "trial.py").write_text(DRAWS)
    places = ("--studies", studies, "--results", results)
    answers = iter([None] * 30)

    def interrupted(request: Reply) -> None:
        try:
            next(answers)
        except StopIteration:
            raise KeyboardInterrupt from None

    in_their_place(monkeypatch, lambda: FakeWorker(interrupted))
    told = call("run", "trial", *places).stderr
    in_their_place(monkeypatch)
    resumed = call(*shlex.split(re.findall("`(.*)`", told)[0])[1:])
    assert resumed.exit_code == 0, resumed.output
    (run,) = (path.parent for path in results.glob("*/trial/*/run.json"))
    assert len(read(run).cells) == 2 * 4 * 4
    for words in (("plot", "trial"), ("report", "trial")):
        assert call(*words, *places).exit_code == 0
    assert call("export", "trial", "--to", "junit", "--results", results, "--output", folder / "é.xml").exit_code == 0
    assert (results / "report.html").is_file()
    assert (run / "figures" / "nothing.png").is_file()


# Cut off at a random byte


def is_told_or_right(path: Path, reader: Callable[[], pd.DataFrame], whole: pd.DataFrame) -> bool:
    """Whether what is left of a table is refused by its name, or read as rows that there were."""
    try:
        left = reader()
    except UserError as error:
        return re.fullmatch(f"{re.escape(str(path))}: .+", str(error)) is not None
    return left.equals(whole.head(len(left)).astype(left.dtypes))


def test_whatever_is_left_of_a_file_is_told_by_its_name_or_is_right(tmp_path: Path) -> None:
    verdicts, base, head = judged(tmp_path)
    rng = random.Random(0)
    run_json = head.path / "run.json"
    text = run_json.read_bytes()
    for size in range(len(text) - 1):  # the last is a line break
        run_json.write_bytes(text[:size])
        with pytest.raises(UserError, match=re.escape(f"{run_json}: not JSON")):
            runs.resume(head.path, tmp_path)
    run_json.write_bytes(text)
    folder = tmp_path / "duel"
    shutil.copytree(head.path, folder / "head")
    write_verdicts(folder, verdicts, {})
    append_history(tmp_path / "history.csv", history_rows(verdicts, base, head))
    readers: dict[Path, Callable[[], pd.DataFrame]] = {
        folder / "verdicts.csv": lambda: read_verdicts(folder),
        tmp_path / "history.csv": lambda: read_history(tmp_path / "history.csv"),
        **{head.path / f"{table}.csv": lambda table=table: getattr(read(head.path), table) for table in KEYS},  # type: ignore[misc]
    }
    for path, reader in readers.items():
        data, whole = path.read_bytes(), reader()
        for size in rng.sample(range(len(data)), 40):
            path.write_bytes(data[:size])
            assert is_told_or_right(path, reader, whole), size
        path.write_bytes(data)


DAMAGE: dict[str, tuple[Callable[[str], str], str]] = {
    "a line of something else": (lambda text: text + "garbage\n", "line 34 is damaged"),
    "a word for a launch": (lambda text: text.replace(",1,ok", ",one,ok", 1), "line 2 is damaged"),
    "a quote that nobody closes": (lambda text: text.replace("native", '"native', 1), "line 2 is damaged"),
    "a column of another name": (lambda text: text.replace("case", "cases", 1), "line 1 is damaged"),
    "columns swapped": (lambda text: text.replace("status,reason", "reason,status", 1), "column 'reason' is not where"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_log_is_not_taken_for_what_a_kill_has_left(
    write_study: WriteStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    in_their_place(monkeypatch)
    run = measured(write_study(SMALL), tmp_path)
    write_info(run.path, dict(run.info) | {"end": None})
    change, told = DAMAGE[damage]
    log = run.path / "cells.csv"
    log.write_text(damaged := change(log.read_text()))
    with pytest.raises(UserError) as caught:
        runs.resume(run.path, tmp_path, say=lambda _: None)
    assert str(caught.value).startswith(f"{log}: {told}")
    assert log.read_text() == damaged
