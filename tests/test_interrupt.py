"""Ctrl-C: what is measured is kept, nothing is left running, one line says how to go on; a bar on a terminal only."""

from __future__ import annotations

import json
import os
import pty
import re
import shlex
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import harness
from harness.vocabulary import EXIT_INTERRUPTED
from tests.command_line import call
from tests.fake_worker import SMALL, FakeWorker, Reply, in_their_place
from tests.forked import shared

ROOT = Path(__file__).parent.parent
SECONDS = 240
"""Until a test gives up; nothing is said of how long anything lasts."""

STUDY = """
title = "Waiting"
methods = ["native", "waiting_method:waits"]
phases = ["forward"]
[axes]
n = [16, 64]
k = 4
[timing]
block_seconds = 0.00001
rounds = 2
launches = 1
"""

METHOD = """
import time
from pathlib import Path

from harness.methods.definition import selector


@selector()
def waits():
    def select(y, k):
        while y.shape[-1] == 64 and Path({flag!r}).exists():
            time.sleep(0.01)
        return y.topk(k)

    return select
"""

# Of a test that itself runs in the background the child would inherit that Ctrl-C is ignored.
MAIN = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from tests.forked import fork_all
fork_all()
from harness.cli import main
main()
"""

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """start(argument, ...) -> the harness in a group of its own, over a study whose second case waits for `flag`.

    forks: its workers are forked, and are not of its group: it is not to be interrupted.
    """
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "waiting.toml").write_text(STUDY)
    (tmp_path / "flag").touch()
    (tmp_path / "waiting_method.py").write_text(METHOD.format(flag=str(tmp_path / "flag")))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join((str(ROOT), str(tmp_path)))}

    def begin(
        *arguments: str, cwd: Path = tmp_path, stderr: int = subprocess.PIPE, forks: bool = False
    ) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", MAIN, *arguments],
            cwd=cwd,
            env=environment | (shared() if forks else {}),
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            start_new_session=True,
        )

    return begin


def interrupted_once(process: subprocess.Popen[str], results: Path, log: str) -> tuple[Path, str]:
    """Ctrl-C once the first case is in the commit log: the folder of the log, and the one line that is told."""
    deadline = time.monotonic() + SECONDS
    while not (logs := [each for each in results.glob(log) if each.read_text().count("\n") > 1]):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: its workers get it too
    output, told = process.communicate(timeout=SECONDS)
    assert process.returncode == EXIT_INTERRUPTED, told
    assert left_of(process.pid) == []
    assert output == ""
    (line,) = told.splitlines()
    assert line.startswith("harness: interrupted; ")
    return logs[0].parent, line


def left_of(group: int) -> list[str]:
    """What still runs of a group of processes.

    One that has ended and waits to be buried does not, nor does one that was killed and has given its memory back: its
    command line went with that memory, so `ps` shows its name in brackets.
    """
    listed = subprocess.run(["ps", "-eo", "pgid=,stat=,args="], capture_output=True, text=True, check=True).stdout
    fields = [line.split(maxsplit=2) for line in listed.splitlines()]
    own = [(state, args) for pgid, state, args in fields if int(pgid) == group]
    return [args for state, args in own if not state.startswith("Z") and not args.startswith("[")]


def test_an_interrupted_run_is_kept_and_says_the_command_that_goes_on_with_it(start: Start, tmp_path: Path) -> None:
    folder, line = interrupted_once(start("run", "waiting"), tmp_path, "results/*/waiting/*/cells.csv")
    command = f"harness run --resume {folder.relative_to(tmp_path)}"
    assert line.endswith(f"what is measured is kept: go on with `{command}`")
    assert json.loads((folder / "run.json").read_text())["end"] is None
    cells = harness.read(folder).cells
    assert (set(cells["n"]), set(cells["status"])) == ({16}, {"ok"})
    (tmp_path / "flag").unlink()
    resumed = start(*shlex.split(command)[1:], forks=True)
    output, told = resumed.communicate(timeout=SECONDS)
    assert (resumed.returncode, told) == (0, "")
    assert f"files: {folder.relative_to(tmp_path)}" in output
    assert len(harness.read(folder).cells) == 2 * 4  # cases x methods with the yardsticks


def test_a_run_on_workers_of_ones_own_is_kept_too(start: Start, tmp_path: Path) -> None:
    process = start("run", "waiting", "--local-cluster", "1")
    folder, line = interrupted_once(process, tmp_path, "results/cluster-*/waiting/*/cells.csv")
    assert re.findall(r"`(.*)`", line)[0] == f"harness run --resume {folder.relative_to(tmp_path)} --local-cluster 1"
    assert json.loads((folder / "run.json").read_text())["end"] is None
    assert set(harness.read(folder).cells["n"]) == {16}


def test_folders_of_ones_own_are_in_the_command_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "small.toml").write_text(SMALL)
    opened = []

    def answer(request: Reply) -> Reply | None:
        opened.extend([request] * (request["op"] == "open"))
        if len(opened) == 2:
            raise KeyboardInterrupt
        return None

    in_their_place(monkeypatch, lambda: FakeWorker(answer))
    done = call("run", "small", "--studies", tmp_path, "--results", tmp_path / "of my own")
    assert (done.exit_code, done.stdout) == (EXIT_INTERRUPTED, "")
    ((command,), (log,)) = re.findall(r"`(.*)`", done.stderr), tmp_path.glob("of my own/*/small/*/cells.csv")
    assert shlex.split(command)[3:] == [str(log.parent), "--studies", str(tmp_path)]


def test_an_interrupted_duel_says_that_it_cannot_be_resumed_and_where_it_is(start: Start, tmp_path: Path) -> None:
    options = ["--studies", str(tmp_path / "studies"), "--results", str(tmp_path / "results")]
    process = start("duel", "waiting", "--base-python", sys.executable, *options, cwd=ROOT)
    head, line = interrupted_once(process, tmp_path, "results/*/waiting/*/head/cells.csv")
    assert "a duel cannot be resumed" in line
    assert f"is kept in {head.parent}," in line
    assert set(harness.read(head.parent / "base").cells["n"]) == {16}


def test_a_terminal_has_a_bar_with_the_remaining_time_and_the_case_at_hand(start: Start, tmp_path: Path) -> None:
    (tmp_path / "flag").unlink()
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 120))
    process = start("run", "waiting", stderr=theirs, forks=True)
    os.close(theirs)
    told = b""
    try:
        while more := os.read(ours, 1 << 12):
            told += more
    except OSError:  # Linux says so at the end of a terminal
        pass
    os.close(ours)
    output, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, output
    shown = told.decode()
    assert re.search(r"0/2 \[\d\d:\d\d<\?.*launch 1, n=16 k=4 float32", shown)
    assert re.search(r"1/2 \[\d\d:\d\d<\d\d:\d\d.*launch 1, n=64 k=4 float32", shown)
