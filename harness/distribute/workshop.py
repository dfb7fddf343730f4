"""The part of a run that lives on a Dask worker: the harness workers that measure its turns there.

A Dask worker measures as many turns in parallel as it has threads, each in a harness worker of its own. A machine takes
times for one case at a time: only a Dask worker with the resource `timing` does, and a lock keeps several of them
apart.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from distributed import Reschedule, WorkerPlugin, get_worker

from harness.errors import UserError
from harness.machine import code_digest, this_machine
from harness.session.case import CaseRunner
from harness.session.process import SIDE_BY_SIDE, Worker, cores_for_workers
from harness.session.side import Side
from harness.session.turn import Rows, Turn, take_turn
from harness.study.definition import Study

TIMING = "timing"
"""The resource of a Dask worker that may take times: one worker on each machine should have one unit of it."""

LOCK = Path(tempfile.gettempdir()) / "topk-harness-timing.lock"
"""Held while times are taken, so that no other Dask worker on this machine takes any."""


@dataclass(frozen=True)
class Introduction:
    """What a Dask worker says about itself.

    code: the digest of its harness; torch: the greeting of one of its harness workers; machine: the facts of its
    machine; threads: how many turns it measures in parallel; timing: how many of them may be timed.
    """

    code: str
    torch: dict[str, Any]
    machine: dict[str, Any]
    threads: int
    timing: int

    @property
    def slug(self) -> str:
        return str(self.machine["slug"])

    @property
    def devices(self) -> list[str]:
        return list(self.torch["devices"])


@dataclass
class Bench:
    """A harness worker, and the launch that it serves; a new launch needs a fresh process."""

    runner: CaseRunner
    launch: int = 0


class Workshop(WorkerPlugin):
    """A Dask plug-in that holds the harness workers of a run; the scheduler also installs it on workers that join
    later."""

    def __init__(self, study: Study, code: str, torch: str) -> None:
        self._study, self._code, self._torch = study, code, torch

    def setup(self, worker: Any) -> None:
        self._lock = threading.Lock()
        self._idle: list[Bench] = []
        self._busy: list[Bench] = []
        self._open = True
        for other in worker.plugins.values():
            if isinstance(other, Workshop) and other is not self:
                other.rest()  # nobody else ends the harness workers of a run whose client was killed

    def teardown(self, worker: Any) -> None:
        self._open = False
        self.rest()
        for bench in list(self._busy):  # nobody needs the turn any more, and it may take minutes
            bench.runner.__exit__()

    def rest(self) -> None:
        """End the harness workers that are not in use."""
        with self._lock:
            while self._idle:
                self._idle.pop().runner.__exit__()

    def take(self, turn: Turn) -> tuple[Rows, Introduction]:
        """Measure a turn.

        Raises UserError if no harness worker can be started, or this Dask worker runs other code or another torch than
        the run; and Reschedule if this Dask worker was told to end meanwhile: then cells that were cut off must not
        count as failed.
        """
        who = introduce(get_worker())
        if why := unlike(who, self._code, self._torch):
            raise UserError(why)
        with alone_on_this_machine() if self._study.timing else nullcontext(), self._at_hand() as bench:
            if bench.launch != turn.launch:
                bench.runner.renew()
                bench.launch = turn.launch
            rows = take_turn(bench.runner, turn, who.slug)
        if not self._open:
            raise Reschedule
        return rows, who

    @contextmanager
    def _at_hand(self) -> Iterator[Bench]:
        with self._lock:
            bench = self._idle.pop() if self._idle else Bench(CaseRunner(self._study, [Side(self._spawn)]))
            self._busy.append(bench)
        try:
            yield bench
        finally:
            with self._lock:
                self._busy.remove(bench)
                self._idle.append(bench)
            if not self._open:
                self.rest()

    def _spawn(self) -> Worker:
        """Start a harness worker. Only a timed one is pinned: parallel ones would all be pinned to the same core."""
        if not self._open:
            raise Reschedule  # Dask gives the turn to another worker
        if self._study.timing:
            return Worker.spawn(cores_for_workers())
        return Worker.spawn(environment=SIDE_BY_SIDE)


def unlike(who: Introduction, code: str, torch: str) -> str:
    """How a worker differs from the run, or ''. code: the digest of the run's harness; torch: its version."""
    for name, theirs, ours in (("code", who.code, code), ("torch", who.torch["torch"], torch)):
        if theirs != ours:
            return f"a worker of the cluster has {name} {theirs}, this run {ours}: all workers of a run need the same"
    return ""


def take(name: str, turn: Turn) -> tuple[Rows, Introduction]:
    """The Dask task that measures one turn: it uses the workshop of this name on the worker that runs the task."""
    workshop = get_worker().plugins[name]
    assert isinstance(workshop, Workshop)
    return workshop.take(turn)


def introduce(dask_worker: Any) -> Introduction:
    """The introduction of this Dask worker. Raises UserError if no harness worker can be started."""
    state = dask_worker.state
    code, torch, machine = _unchanging()
    return Introduction(code, torch, machine, state.nthreads, int(state.total_resources.get(TIMING, 0)))


@cache
def _unchanging() -> tuple[str, dict[str, Any], dict[str, Any]]:
    with Worker.start() as worker:
        return code_digest(), worker.greeting, this_machine(worker.greeting["accelerator"]).facts


@contextmanager
def alone_on_this_machine() -> Iterator[None]:
    """Hold the lock for taking times on this machine. Raises UserError if the lock file cannot be opened."""
    try:
        descriptor = _open_lock()
    except OSError as error:
        raise UserError(f"{LOCK}: {error.strerror}") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _open_lock() -> int:
    """Open the lock file, which is created only if it does not exist: Linux may refuse O_CREAT on another user's file
    in /tmp (fs.protected_regular). Whoever creates it lets every user read it, whatever the umask is."""
    flags = os.O_RDONLY | os.O_NOFOLLOW
    try:
        return os.open(LOCK, flags)
    except FileNotFoundError:
        pass
    try:
        descriptor = os.open(LOCK, flags | os.O_CREAT | os.O_EXCL, 0o644)
    except FileExistsError:  # another process has just created it
        return os.open(LOCK, flags)
    os.fchmod(descriptor, 0o644)
    return descriptor
