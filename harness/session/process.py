"""The handle of a worker process: it starts the process, sends it requests, and finds out how it ended."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.errors import UserError
from harness.repository.git import unbound
from harness.session.program import HOME, program_of
from harness.worker.counting import callgrind, counting_environment
from harness.worker.protocol import WITH_PARENT

START_SECONDS = 120.0
"""A worker that has not greeted by then never will: importing torch takes seconds, or tens of seconds on a cold
disk."""

SIDE_BY_SIDE = {
    "OPENBLAS_NUM_THREADS": "1",
    "MALLOC_MMAP_THRESHOLD_": str(2**30),
    "MALLOC_TRIM_THRESHOLD_": str(2**32),
}
"""Environment of workers that time nothing, and so run in parallel. NumPy's threads spin while they wait: two workers
on two cores took as long as one. glibc returns freed memory to the system at once, and at n = 65536 page faults took a
fifth of the time. In a worker that counts, callgrind would add up the instructions of all threads."""

COUNTING_START_SECONDS = 10 * START_SECONDS
"""START_SECONDS of a worker that counts: importing torch takes ten times as long under callgrind, and several may start
at once."""

END_SECONDS = 10.0
"""A worker that has closed its output is ending; one that has not ended by then never will."""

LOOK_SECONDS = 1.0
"""How often a worker that has not answered yet is looked at: if it has ended, a process that a method has forked may
still hold its output open."""

LAST_BYTES = 1 << 12
"""How much of a worker's standard error is read for its last line: a method may have printed any amount before."""

SIGNALS = {number.value: number.name for number in signal.Signals}
"""Number of a signal -> its name. Most real-time signals have none."""


class WorkerLost(Exception):
    """The worker did not reply, or cannot be used after its reply; the message says why.

    status: 'crashed', 'timeout', 'out_of_memory' or 'incorrect'. answered: the worker itself replied so.
    """

    def __init__(self, status: str, reason: str, *, answered: bool = False) -> None:
        super().__init__(reason)
        self.status, self.reason, self.answered = status, reason, answered


@dataclass
class Worker:
    """A running worker process.

    cores: it pins itself to the first of them, as many as a case has threads. folder: where its harness must lie, or
    None if that is not known. greeting: its first message, once it has arrived.
    """

    process: subprocess.Popen[bytes]
    cores: tuple[int, ...]
    log: Any
    interpreter: str = sys.executable
    folder: Path | None = None
    greeting: dict[str, Any] = field(default_factory=dict)
    start_seconds: float = START_SECONDS
    _unread: bytes = b""

    @classmethod
    def start(
        cls, cores: tuple[int, ...] = (), interpreter: str = sys.executable, folder: Path | None = None
    ) -> Worker:
        """A worker of the harness in `folder` (default: this harness) that has greeted.

        Raises UserError if it does not start.
        """
        return cls.spawn(cores, interpreter, folder).greet()

    @classmethod
    def spawn(
        cls,
        cores: tuple[int, ...] = (),
        interpreter: str = sys.executable,
        folder: Path | None = None,
        environment: Mapping[str, str] | None = None,
        home: Path | None = None,
        counts: Path | None = None,
        program: Sequence[str] = (),
    ) -> Worker:
        """A worker that is starting up. It has not greeted yet, so several can import torch at the same time.

        folder: its working folder. environment: variables in addition to those of this process. home: the folder of
        its harness (default: `folder`; without a folder, that of this harness, even if the current folder has another
        package named `harness`). counts: run it under callgrind, which writes instruction counts into files that begin
        with this path; it is pinned to no core. program: what the interpreter runs instead of a study's worker.

        Raises UserError if it does not start.
        """
        own = HOME if folder is None else None
        if counts is not None:
            cores, environment = (), {**(environment or {}), **SIDE_BY_SIDE, **counting_environment(counts)}
        try:
            log = tempfile.TemporaryFile()  # noqa: SIM115  (closed by stop)
        except OSError as error:
            raise UserError(f"worker: {error.strerror}") from None
        command = [interpreter, *(program or program_of(home or own)), *_ends_with()]
        try:
            process = subprocess.Popen(
                [*callgrind(counts), *command] if counts else command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                bufsize=0,  # a request is sent when it is written
                cwd=folder,
                # Without the variables by which a git hook names its repository: a git that a method calls would write
                # into that one.
                env={**unbound(os.environ), **(environment or {})},
            )
        except OSError as error:
            log.close()
            raise UserError(f"worker: {interpreter}: {error.strerror}") from None
        start_seconds = START_SECONDS if counts is None else COUNTING_START_SECONDS
        return cls(process, cores, log, interpreter, home or folder, start_seconds=start_seconds)

    def greet(self) -> Worker:
        """Wait for its greeting, unless it has greeted. Raises UserError if there is none, or not the expected one."""
        if not self.greeting:
            try:
                greeting = self._reply(self.start_seconds)
                home = Path(greeting.pop("home"))  # removed, since the greeting is written to run.json: no paths there
            except WorkerLost as error:
                self.stop()
                raise UserError(f"worker: {self.interpreter} cannot start one: {error.reason}") from None
            except (ValueError, KeyError, TypeError, AttributeError):
                self.stop()
                raise UserError(f"worker: {self.interpreter} started something that speaks another protocol") from None
            if self.folder is not None and home.resolve() != self.folder.resolve():
                self.stop()
                raise UserError(f"worker: {self.folder} has no harness of its own to compare with")
            self.greeting = greeting
        return self

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def ask(self, request: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        """The reply to a request. Raises WorkerLost if there is none within `seconds`; the worker is killed then."""
        try:
            assert self.process.stdin is not None
            self.process.stdin.write(json.dumps(request).encode() + b"\n")
        except OSError:
            raise self._lost() from None
        try:
            return self._reply(seconds)
        except ValueError:  # a method wrote to the file descriptor of the replies
            self.process.kill()
            raise WorkerLost("crashed", "the worker's reply was not JSON") from None

    def kill(self) -> None:
        """Kill the process, and leave the rest to whoever waits for its reply."""
        self.process.kill()

    def stop(self) -> None:
        """Kill the process, whatever it is doing, and close its streams."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.log):
            if stream is not None:
                stream.close()

    def _reply(self, seconds: float) -> dict[str, Any]:
        assert self.process.stdout is not None
        deadline = time.monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._unread:
                left = deadline - time.monotonic()
                if left <= 0:
                    self.process.kill()
                    raise WorkerLost("timeout", f"no answer within {seconds:.3g} s")
                if not selector.select(min(left, LOOK_SECONDS)):
                    if self.process.poll() is not None:
                        raise self._lost()
                    continue
                data = os.read(self.process.stdout.fileno(), 1 << 16)
                if not data:
                    raise self._lost()
                self._unread += data
        line, _, self._unread = self._unread.partition(b"\n")
        reply: dict[str, Any] = json.loads(line)
        return reply

    def _lost(self) -> WorkerLost:
        try:
            code = self.process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return WorkerLost("crashed", "the worker closed its output and kept running")
        how = f"by {SIGNALS.get(-code, f'signal {-code}')}" if code < 0 else f"with exit code {code}"
        self.log.seek(max(0, self.log.seek(0, os.SEEK_END) - LAST_BYTES))
        lines = self.log.read().decode(errors="replace").strip().splitlines()
        return WorkerLost("crashed", f"the worker ended {how}" + (f": {lines[-1]}" if lines else ""))


def _ends_with() -> list[str]:
    """The argument that makes a worker end with its parent, or none.

    Linux ends it with the thread that started it, so that must be the main thread, which lasts as long as the run.
    """
    is_main = threading.current_thread() is threading.main_thread()
    return [WITH_PARENT] if sys.platform == "linux" and is_main else []


def cores_for_workers() -> tuple[int, ...]:
    """The cores that a worker may pin itself to, the last one first: the first is left to the system and the parent."""
    if not hasattr(os, "sched_getaffinity"):
        return ()
    return tuple(sorted(os.sched_getaffinity(0), reverse=True))
