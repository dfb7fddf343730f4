"""The standard streams as people leave them: closed, full, in another encoding, or in a pipe that nobody reads."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest

from harness.cli import streams
from harness.session.progress import progress_bar
from harness.tables import read
from harness.vocabulary import EXIT_UNREAD, EXIT_USAGE
from tests.present import needs_torch

ROOT = Path(__file__).parent.parent

TINY = """
title = "Tiny"
methods = ["native", "gather"]
phases = ["forward"]
[axes]
n = 64
k = [4, 100]
[timing]
block_seconds = 0.0001
rounds = 2
launches = 1
"""


def shell(command: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """A command of bash, in which `harness` is this interpreter's."""
    script = f'harness() {{ "{sys.executable}" -m harness "$@"; }}; {command}'
    return subprocess.run(["bash", "-c", script], cwd=folder, text=True, capture_output=True, timeout=300, check=False)


@pytest.mark.parametrize(
    ("command", "code", "errors"),
    [
        ("harness list >&-", 0, 0),
        ("harness list >&- 2>&- <&-", 0, 0),
        ("harness plan nowhere 2>&-", EXIT_USAGE, 0),
        ("harness plan nowhere 2>/dev/full", EXIT_USAGE, 0),
        ("harness plan nowhere >/dev/full", EXIT_USAGE, 1),
        ("harness list >/dev/full", EXIT_USAGE, 1),
        ("harness export precision --to junit >/dev/full", EXIT_USAGE, 1),
        ("harness list | true; exit ${PIPESTATUS[0]}", EXIT_UNREAD, 0),
        ("harness list --schema | true; exit ${PIPESTATUS[0]}", EXIT_UNREAD, 0),
        ("harness --help | true; exit ${PIPESTATUS[0]}", EXIT_UNREAD, 0),
        ("harness plan nowhere 2>&1 | true; exit ${PIPESTATUS[0]}", EXIT_USAGE, 0),
        ("PYTHONIOENCODING=ascii LC_ALL=C harness list", 0, 0),
    ],
)
def test_a_stream_is_closed_or_full_or_read_by_nobody(command: str, code: int, errors: int) -> None:
    ended = shell(command)
    assert (ended.returncode, len(ended.stderr.splitlines())) == (code, errors), ended.stderr
    assert "/dev/full" not in command or errors == 0 or ended.stderr.startswith("harness: ")


@needs_torch
def test_a_run_that_nobody_reads_is_whole_without_a_standard_error_too(tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text(TINY)
    ended = shell("harness run tiny --studies . 2>&- <&- | head -1; exit ${PIPESTATUS[0]}", tmp_path)
    assert (ended.returncode, ended.stderr) == (EXIT_UNREAD, "")
    assert len(ended.stdout.splitlines()) == 1
    (folder,) = (tmp_path / "results").glob("*/tiny/*")
    run = read(folder)
    run.check()
    assert run.info["end"]
    assert set(run.cells["status"]) == {"ok"}


@pytest.mark.parametrize("stream", [None, "closed"])
def test_a_bar_without_a_standard_error_is_silent(stream: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process without a console, and for who calls `harness.run` from there."""
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", None if stream is None else closed)
    with progress_bar(3) as bar:
        bar.update()
    assert bar.disable


def test_a_stream_that_somebody_put_in_place_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A notebook, or whoever calls `main` and keeps what it prints."""
    theirs = io.StringIO()
    monkeypatch.setattr(sys, "stdout", theirs)
    monkeypatch.setattr(sys, "stderr", theirs)
    streams.prepare()
    assert sys.stdout is sys.stderr is theirs
    assert not streams.unread()


@pytest.mark.parametrize(
    ("ending", "code", "errors"),
    [
        ("sys.exit('no licence\\nfound')", EXIT_USAGE, "harness: a package ended the program: no licence\\nfound\n"),
        ("sys.exit(['no', 'licence'])", EXIT_USAGE, "harness: a package ended the program: ['no', 'licence']\n"),
        ("sys.exit()", 0, ""),
        ("sys.exit(3)", 3, ""),
    ],
)
def test_whatever_a_package_ends_the_program_with_is_one_line(ending: str, code: int, errors: str) -> None:
    script = f"import sys\nfrom harness.cli import cli, main\ncli.main = lambda **_: {ending}\nmain()"
    ended = subprocess.run([sys.executable, "-c", script], cwd=ROOT, text=True, capture_output=True, check=False)
    assert (ended.returncode, ended.stderr) == (code, errors)


def test_a_current_folder_that_no_longer_exists_is_one_line(tmp_path: Path) -> None:
    ended = shell(f"mkdir {tmp_path}/gone && cd {tmp_path}/gone && rmdir {tmp_path}/gone && harness list")
    assert ended.returncode == EXIT_USAGE
    assert ended.stderr == "harness: the current folder no longer exists: change to another\n"
