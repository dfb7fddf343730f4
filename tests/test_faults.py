"""What breaks while cells are measured: the process, its memory, the clock. Each is a row or one line."""

from __future__ import annotations

import math
import os
import re
import signal
import stat
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest

import harness
from harness.cli.publish import publish
from harness.errors import UserError
from harness.report.terminal import closing
from harness.session import folder, process, runs
from harness.session.process import Worker, WorkerLost
from harness.study.definition import Study
from harness.tables import newest_run, read
from tests.acceptance import kills as killing
from tests.fake_worker import SMALL, FakeWorker, Reply, in_their_place, measured
from tests.forked import COMMAND, fresh_workers, shared
from tests.keys import keys_of

WriteStudy = Callable[[str], Study]

SECONDS = 60
"""Until a test gives up; nothing is said of how long anything lasts."""


# Processes


BAD = """
title = "Bad"
methods = ["native", "tests.acceptance.faults:segfaults", "tests.acceptance.faults:outgrows",
           "tests.acceptance.faults:fails_in_blocks", "gather"]
phases = ["forward"]
[axes]
n = 4096
k = 4
[timing]
block_seconds = 0.00001
rounds = 40
launches = 1
"""


def test_a_segfault_lack_of_memory_and_a_failure_in_a_block_cost_their_own_cells_only(
    write_study: WriteStudy, tmp_path: Path
) -> None:
    run = measured(write_study(BAD), tmp_path)
    found = {
        name.partition(":")[2] or name: (status, reason)
        for name, status, reason in run.cells[["method", "status", "reason"]].itertuples(index=False)
    }
    assert found["native"] == found["gather"] == ("ok", "")
    assert found["segfaults"][0] == "crashed"
    assert "SIGSEGV" in found["segfaults"][1]
    # torch may abort where it cannot tell any more, and the limit that the method sets for its process is others's too
    assert found["outgrows"][0] in ("out_of_memory", "crashed", "incorrect")
    assert found["outgrows"][1]
    status, reason = found["fails_in_blocks"]
    assert status == "crashed"
    assert reason.startswith("forward: ValueError: a fault that comes late (tests/acceptance/faults.py, line ")
    assert set(run.timings["method"]) == {"native", "gather", "copy", "read"}
    run.check()
    assert run.info["end"]


IMPOSTOR = """
import json, os, sys, time
from pathlib import Path
import harness
from harness.worker.protocol import end_with_parent

def say(text):
    os.write(1, text.encode() + b"\\n")

end_with_parent(sys.argv[1:])
say(json.dumps({"home": str(Path(harness.__file__).parents[1]), "devices": ["cpu"]}))
request = sys.stdin.readline()
"""


@pytest.fixture
def impostor(tmp_path: Path) -> Iterator[Callable[[str], Worker]]:
    """impostor(code) -> a worker that greets, reads one request, and then does that instead of an answer."""
    started = []

    def start(code: str) -> Worker:
        (tmp_path / "impostor.py").write_text(IMPOSTOR + textwrap.dedent(code))
        interpreter = tmp_path / "python"
        interpreter.write_text(f'#!/bin/sh\nshift 2\nexec "{sys.executable}" "{tmp_path}/impostor.py" "$@"\n')
        interpreter.chmod(interpreter.stat().st_mode | stat.S_IXUSR)
        started.append(Worker.start(interpreter=str(interpreter)))
        return started[-1]

    yield start
    for each in started:
        each.stop()


@pytest.mark.parametrize(
    ("code", "status", "reason"),
    [
        ("say('{\"status\": ')", "crashed", "the worker's reply was not JSON"),
        ("os.write(1, b'{'); os.close(1); time.sleep(60)", "crashed", "closed its output and kept running"),
        ("print('one ' * 9999, file=sys.stderr); sys.exit('two')", "crashed", "the worker ended with exit code 1: two"),
        ("os.kill(os.getpid(), 36)", "crashed", "the worker ended by signal 36"),  # a real-time signal has no name
        ("time.sleep(60)", "timeout", "no answer within 0.5 s"),
    ],
)
def test_whatever_a_worker_does_instead_of_an_answer_is_a_reason(
    impostor: Callable[[str], Worker], monkeypatch: pytest.MonkeyPatch, code: str, status: str, reason: str
) -> None:
    monkeypatch.setattr(process, "END_SECONDS", 0.2)
    with pytest.raises(WorkerLost, match=re.escape(reason)) as caught:
        impostor(code).ask({}, 0.5 if status == "timeout" else 30)
    assert caught.value.status == status


def test_a_process_that_a_method_has_forked_hides_no_end(
    impostor: Callable[[str], Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It holds the pipe of the replies open: without a look at the worker itself this would be a timeout."""
    monkeypatch.setattr(process, "LOOK_SECONDS", 0.05)
    with pytest.raises(WorkerLost, match="the worker ended with exit code 3") as caught:
        impostor("if os.fork() == 0:\n    time.sleep(4)\nos._exit(3)").ask({}, 2)
    assert caught.value.status == "crashed"


def test_without_a_folder_for_what_it_says_no_worker_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/nowhere")
    with fresh_workers(), pytest.raises(UserError, match=r"^worker: .*No such file or directory"):
        Worker.spawn()


WAITING = """
title = "Waiting"
methods = ["native", "waiting_method:hangs"]
phases = ["forward"]
[axes]
n = 64
k = 4
"""

HANGS = """
import time
from pathlib import Path

from harness.methods.definition import selector


@selector()
def hangs():
    def select(y, k):
        Path("hanging").touch()
        time.sleep(3600)

    return select
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a worker ends with its input, when its call returns")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_no_worker_stays_behind_inside_a_call_that_never_returns(tmp_path: Path, number: signal.Signals) -> None:
    """The signal goes to the parent alone."""
    (tmp_path / "waiting.toml").write_text(WAITING)
    (tmp_path / "waiting_method.py").write_text(HANGS)
    parent = subprocess.Popen(
        [sys.executable, "-m", "harness", "run", "waiting", "--studies", ".", "--results", "."],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path(harness.__file__).parents[1])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # Under nohup SIGHUP is ignored, also by what is started.
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
    )
    wait_until((tmp_path / "hanging").exists)
    (child,) = psutil.Process(parent.pid).children()
    try:
        parent.send_signal(number)
        _, told = parent.communicate(timeout=SECONDS)
        wait_until(lambda: not child.is_running())
    finally:
        if child.is_running():
            child.kill()
    (folder,) = (path.parent for path in tmp_path.glob("*/waiting/*/run.json"))
    if number != signal.SIGKILL:
        assert parent.returncode == 130
        assert told.startswith("harness: interrupted; what is measured is kept: go on with `")
    assert read(folder).info["end"] is None


def wait_until(there: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not there():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_killed_at_random_it_is_resumed_to_the_same_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of those of `make acceptance`: this seed kills after two thirds of a run, and cuts a table off besides. Here
    workers are forked: what is written is written by their parent."""
    monkeypatch.setattr(killing, "HARNESS", (sys.executable, "-c", COMMAND))
    for name, value in shared().items():
        monkeypatch.setenv(name, value)
    (each,) = killing.kills(1, tmp_path, seed=18)
    assert (each.gaps, each.duplicates, each.half_lines, each.failures) == (0, 0, 0, 0)


# The clock


@pytest.mark.parametrize("seconds", [0.0, -1e-3, math.nan, math.inf])
def test_a_clock_that_does_not_move_forward_costs_the_cell_not_the_run(
    write_study: WriteStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    def answer(request: Reply) -> Reply | None:
        if request["op"] == "time" and request["method"] == "gather":
            return {"seconds": seconds, "throttling": None}
        return None

    in_their_place(monkeypatch, lambda: FakeWorker(answer))
    run = measured(write_study(SMALL), tmp_path)
    run.check()
    became = run.cells.groupby("method")["status"].agg(set).to_dict()
    assert became == {"native": {"ok"}, "copy": {"ok"}, "read": {"ok"}, "gather": {"crashed"}}
    reasons = set(run.cells.query("method == 'gather'")["reason"])
    assert reasons == {f"forward: the clock read {seconds:g} s per call"}
    assert "gather" not in set(run.timings["method"])


def test_a_wall_clock_that_steps_back_changes_nothing_but_the_stamps(
    write_study: WriteStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC)

    def backwards() -> datetime:
        nonlocal now
        now -= timedelta(hours=1)
        return now

    for module in (folder, runs):
        monkeypatch.setattr(module, "utc_now", backwards)
    in_their_place(monkeypatch)
    study = write_study(SMALL)
    first, second = (measured(study, tmp_path / "results") for _ in range(2))
    assert first.info["end"] < first.info["begin"]
    assert second.path.name < first.path.name
    assert keys_of(first) == keys_of(second)
    assert newest_run(tmp_path / "results", "trial") == first.path
    lines = list(closing(second, tmp_path, None))  # so it names the folder, which the word `trial` does not mean
    assert any(str(second.path) in line for line in lines if line.startswith("next: "))
    (tmp_path / "trial.py").write_text("FIGURES = ()\n")  # drawing is no matter of this test
    publish([str(first.path), str(second.path)], tmp_path, tmp_path)
    folder.write_info(second.path, dict(second.info) | {"end": None})
    assert keys_of(runs.resume(second.path, tmp_path, say=lambda _: None)) == keys_of(first)
