"""A disk that is full or read-only: nothing measured is lost, and one line says which file, and how to go on.

Workers are fakes; what the system refuses it refuses really, where a test can have that without being root.
"""

from __future__ import annotations

import errno
import json
import os
import re
import resource
import shlex
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

import harness
from harness.errors import UserError
from harness.session import runs
from harness.session.folder import write_info
from harness.study.definition import Study
from harness.tables import RunWriter, read, read_history, replace_text
from harness.verdicts.history import record
from tests.command_line import call
from tests.fake_worker import DRAWS, SMALL, in_their_place, measured
from tests.keys import KEYS, keys_of
from tests.recorded import judged
from tests.recorded import record as recorded

WriteStudy = Callable[[str], Study]


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """No file grows beyond so many bytes, as on a full disk: what fits is written, the rest is refused."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def stopped(results: Path) -> Path:
    """The folder of the one run that there is."""
    (info,) = results.glob("*/trial/*/run.json")
    assert json.loads(info.read_text(encoding="utf-8"))["end"] is None
    return info.parent


def assert_told(error: UserError, file: Path, reason: int) -> None:
    """One line: the file, the reason, and the command that goes on."""
    message = str(error)
    assert message.splitlines() == [message]
    assert message.startswith(f"{file}: {os.strerror(reason)}; what is measured is kept: go on with `harness run --")
    (command,) = re.findall("`(.*)`", message)
    assert shlex.split(command)[3:5] == [str(file.parent), "--studies"]


def assert_whole_lines(folder: Path) -> None:
    assert all(not (data := path.read_bytes()) or data.endswith(b"\n") for path in folder.glob("*.csv"))


@pytest.mark.parametrize("size", [1500, 1501, 2000, 2001, 2417, 3003])
def test_a_full_disk_stops_a_run_and_with_space_again_it_is_finished(
    write_study: WriteStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    in_their_place(monkeypatch)
    study = write_study(SMALL)
    undisturbed = measured(study, tmp_path / "undisturbed")
    with largest_file(size), pytest.raises(UserError) as caught:
        measured(study, tmp_path)
    folder = stopped(tmp_path)
    assert_told(caught.value, folder / "timings.csv", errno.EFBIG)
    assert_whole_lines(folder)
    kept = read(folder)
    kept.check()
    assert len(kept.timings) == 2 * len(kept.cells) > 0
    resumed = runs.resume(folder, tmp_path, say=lambda _: None)
    assert keys_of(resumed) == keys_of(undisturbed)
    assert resumed.info["end"]


def test_a_table_that_cannot_even_begin_and_an_end_that_cannot_be_written(
    write_study: WriteStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_their_place(monkeypatch)
    study = write_study(SMALL)

    def full(folder: Path, info: dict[str, Any]) -> None:
        if info["end"]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder / "run.json"))
        write_info(folder, info)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))

    monkeypatch.setattr(runs, "write_info", full)
    with largest_file(10_000), pytest.raises(UserError) as caught:
        measured(study, tmp_path)
    folder = stopped(tmp_path)
    assert_told(caught.value, folder / "cells.csv", errno.EFBIG)
    assert [path.read_bytes() for path in folder.glob("*.csv")] == [b""]
    with pytest.raises(UserError) as caught:
        runs.resume(folder, tmp_path, say=lambda _: None)
    assert_told(caught.value, folder / "run.json", errno.ENOSPC)
    assert len(read(folder).cells) == 2 * 4 * 4
    monkeypatch.setattr(runs, "write_info", write_info)
    assert runs.resume(folder, tmp_path, say=lambda _: None).info["end"]


@pytest.mark.parametrize("reason", [errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK])
def test_a_file_system_without_locks_is_not_told_as_another_run(
    write_study: WriteStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: int
) -> None:
    """Such as a Lustre that was mounted without them: whoever looked for the other run would find none."""

    def flock(*_: object) -> None:
        raise OSError(reason, os.strerror(reason))

    in_their_place(monkeypatch)
    monkeypatch.setattr("harness.tables.writing.fcntl.flock", flock)
    with pytest.raises(UserError) as caught:
        measured(write_study(SMALL), tmp_path)
    assert_told(caught.value, stopped(tmp_path) / ".lock", reason)


def test_what_was_refused_is_not_written_later(tmp_path: Path) -> None:
    """A buffer would be written again when the file is closed, after what others wrote."""
    whole = read(recorded(tmp_path / "a"))
    rows: dict[str, list[Any]] = {table: getattr(whole, table).to_dict("records") for table in KEYS}
    folder = tmp_path / "b"
    folder.mkdir()
    with RunWriter(folder, {}) as writer:
        writer.open()
        header = {table: (folder / f"{table}.csv").read_bytes() for table in KEYS}
        with largest_file(1000), pytest.raises(OSError, match=re.escape(str(folder / "timings.csv"))):
            writer.commit(rows)
        assert {table: (folder / f"{table}.csv").read_bytes() for table in KEYS} == header
        writer.commit(rows)
    for table in KEYS:
        assert (folder / f"{table}.csv").read_bytes() == (tmp_path / "a" / f"{table}.csv").read_bytes()


def test_a_file_that_is_replaced_is_whole_or_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    replace_text(path, "before")
    with largest_file(10), pytest.raises(OSError, match=re.escape(f"{path}'")):
        replace_text(path, "x" * 100)
    assert [(each.name, each.read_text()) for each in tmp_path.iterdir()] == [("run.json", "before")]


def test_a_judged_run_is_in_the_history_whole_or_not_at_all(tmp_path: Path) -> None:
    verdicts, base, head = judged(tmp_path)
    path = record(tmp_path, verdicts, base, head)
    before = path.read_bytes()
    with largest_file(len(before) + 700), pytest.raises(OSError, match=re.escape(str(path))):
        record(tmp_path, verdicts, base, head)
    assert path.read_bytes() == before
    record(tmp_path, verdicts, base, head)
    assert len(read_history(path)) == 2 * len(verdicts)


# Read-only


@pytest.fixture
def read_only(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """read_only(folder): nothing below it can be written any more. (root may write whatever its mode forbids.)"""

    def protect(folder: Path) -> None:
        def refusing(usual: Callable[..., Any], writes: Callable[..., bool]) -> Callable[..., Any]:
            def call(path: Path, *arguments: Any, **options: Any) -> Any:
                if path.is_relative_to(folder) and writes(*arguments, **options):
                    raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
                return usual(path, *arguments, **options)

            return call

        monkeypatch.setattr(Path, "open", refusing(Path.open, lambda mode="r", *_, **__: not mode.startswith("r")))
        for name in ("mkdir", "unlink", "replace"):
            monkeypatch.setattr(Path, name, refusing(getattr(Path, name), lambda *_, **__: True))

    return protect


def assert_one_line(result: Result, beginning: str) -> str:
    assert result.exit_code == 2, result.output
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"harness: {beginning}")
    return line


def test_read_only_results_are_one_line_of_every_verb_that_writes(
    write_study: WriteStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read_only: Callable[[Path], None]
) -> None:
    in_their_place(monkeypatch)
    results = tmp_path / "results"
    run = measured(write_study(SMALL), results)
    open_again = Path(shutil.copytree(run.path, tmp_path / "open"))
    write_info(open_again, dict(run.info) | {"end": None})
    (tmp_path / "trial.py").write_text(DRAWS)
    read_only(results)
    read_only(open_again)
    studies = ("--studies", tmp_path)
    resumed = assert_one_line(call("run", "--resume", open_again, *studies), f"{open_again / '.lock'}: Read-only file")
    assert "what is measured is kept" in resumed
    assert_one_line(call("run", tmp_path / "trial.toml", "--results", results, *studies), str(run.path.parent))
    assert_one_line(call("plot", run.path, *studies), f"{run.path / 'figures'}: Read-only file system")
    reported = call("report", run.path, "--results", results, *studies)
    assert_one_line(reported, f"{results / 'report.html'}: Read-only file system")
    assert call("report", run.path, "--output", tmp_path / "page.html", *studies).exit_code == 0
    exported = call("export", run.path, "--to", "markdown", "--output", results / "x.md")
    assert_one_line(exported, f"{results / 'x.md'}: Read-only file system")
    read(run.path).check()
    assert call("export", run.path, "--to", "markdown").exit_code == 0


@pytest.mark.skipif(not Path("/sys/kernel").is_dir(), reason="there is no folder in which nobody may write")
def test_a_folder_in_which_nobody_may_write_is_named(write_study: WriteStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    in_their_place(monkeypatch)
    with pytest.raises(UserError, match=r"^/sys/kernel/results/") as caught:
        harness.run(write_study(SMALL), "/sys/kernel/results", say=lambda _: None)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no disk that is always full")
def test_an_export_and_a_figure_that_do_not_fit_are_one_line(
    write_study: WriteStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_their_place(monkeypatch)
    run = measured(write_study(SMALL), tmp_path)
    full = tmp_path / "full"
    full.symlink_to("/dev/full")  # what would take the place of a device takes that of a link
    no_space = f"{full}: No space left on device"
    assert_one_line(call("export", run.path, "--to", "junit", "--output", full), no_space)
    assert_one_line(call("report", run.path, "--output", full), no_space)
    (tmp_path / "trial.py").write_text(DRAWS)
    assert call("plot", run.path).exit_code == 0
    usual = set((run.path / "figures").iterdir())
    with largest_file(50):
        drawn = call("plot", run.path, "--studies", tmp_path)
    assert_one_line(drawn, f"{run.path / 'figures' / 'nothing.svg'}: File too large")
    assert set((run.path / "figures").iterdir()) == usual
