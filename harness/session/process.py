"""The handle of a worker process: start it, ask it, and know how it ended."""

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
from harness.worker.counting import callgrind, counting_environment
from harness.worker.protocol import WITH_PARENT

START_SECONDS = 120.0
"""A worker that has not greeted by then never will: importing torch takes seconds, on a cold disk tens of them."""

SIDE_BY_SIDE = {
    "OPENBLAS_NUM_THREADS": "1",
    "MALLOC_MMAP_THRESHOLD_": str(2**30),
    "MALLOC_TRIM_THRESHOLD_": str(2**32),
}
"""What a worker that times nothing is told. NumPy's threads would wait busily for the cores of the others: two workers
on two cores then took as long as one. glibc would give back at once what is freed, and at n = 65536 a fifth of the time
went into page faults. Of a worker that counts, callgrind would add up the instructions of all threads."""

COUNTING_START_SECONDS = 10 * START_SECONDS
"""The same of a worker that counts: importing torch under callgrind takes ten times as long, and others may be busy."""

END_SECONDS = 10.0
"""A worker that has closed its output is ending; one that has not ended by then never will."""

LAST_BYTES = 1 << 12
"""Of what a worker said: its last line is told, however much a method has printed before."""

WORKER = "harness.measure.worker"
"""The module that a worker runs: under this name each version has one, so that a duel can start that of its base."""

ELSEWHERE = "import sys; sys.path.insert(0, {home!r}); import harness; del sys.path[0]; import {worker} as w; w.main()"
"""What a worker runs of a harness that lies in another folder than its own: nothing else that lies there is found."""

HOME = Path(__file__).parents[2]
"""The folder that this harness lies in."""


class WorkerLost(Exception):
    """There is no answer, or none after which the worker could go on; the message says why.

    status: 'crashed', 'timeout' or 'out_of_memory'. answered: the worker itself said so.
    """

    def __init__(self, status: str, reason: str, *, answered: bool = False) -> None:
        super().__init__(reason)
        self.status, self.reason, self.answered = status, reason, answered


@dataclass
class Worker:
    """A running worker process. Its cores are those that it pins itself to, as many as a case has threads; its folder
    is where its harness must lie, if that is known."""

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
        """A worker of the harness in `folder` (default: this one) that has greeted.

        Raises UserError where none can be started.
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
        """A worker that is starting: importing torch takes seconds, which several can spend at once.

        environment: variables that it has besides those of this process; home: the folder of the harness that it is a
        worker of, unless that is the one in `folder`, or without a folder this one, whatever the current folder has
        under the name `harness`; counts: it runs under callgrind, is pinned to no core, and counts instructions in
        files that begin with this path; program: what the interpreter runs instead of the worker of a study. A worker
        inherits none of the variables by which a git hook names its repository: a method may call git, which would
        then write there.
        """
        own = HOME if folder is None else None
        if counts is not None:
            cores, environment = (), {**(environment or {}), **SIDE_BY_SIDE, **counting_environment(counts)}
        try:
            log = tempfile.TemporaryFile()  # noqa: SIM115  (closed by stop)
        except OSError as error:
            raise UserError(f"worker: {error.strerror}") from None
        try:
            process = subprocess.Popen(
                [
                    *(callgrind(counts) if counts else ()),
                    interpreter,
                    *(program or _program(home or own)),
                    *_ends_with(),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                bufsize=0,
                cwd=folder,
                env={**unbound(os.environ), **(environment or {})},
            )
        except OSError as error:
            log.close()
            raise UserError(f"worker: {interpreter}: {error.strerror}") from None
        start_seconds = START_SECONDS if counts is None else COUNTING_START_SECONDS
        return cls(process, cores, log, interpreter, home or folder, start_seconds=start_seconds)

    def greet(self) -> Worker:
        """Wait for its greeting, unless it has greeted. Raises UserError where there is none."""
        if not self.greeting:
            try:
                greeting = self._reply(self.start_seconds)
                home = Path(greeting.pop("home"))  # told to us alone: no result names a path
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
        """The reply to a request; raises WorkerLost when there is none within `seconds`, and the worker is gone."""
        try:
            assert self.process.stdin is not None
            self.process.stdin.write(json.dumps(request).encode() + b"\n")
        except OSError:
            raise self._lost() from None
        try:
            return self._reply(seconds)
        except ValueError:  # of a method that has written where answers are
            self.process.kill()
            raise WorkerLost("crashed", "the worker's answer was no JSON") from None

    def kill(self) -> None:
        """End the process, and leave the rest to whoever waits for its reply."""
        self.process.kill()

    def stop(self) -> None:
        """End the process, whatever it is doing."""
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
                if left <= 0 or not selector.select(left):
                    self.process.kill()
                    raise WorkerLost("timeout", f"no answer within {seconds:.3g} s")
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
            return WorkerLost("crashed", "the worker closed its output, and went on")
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        self.log.seek(max(0, self.log.seek(0, os.SEEK_END) - LAST_BYTES))
        said = self.log.read().decode(errors="replace").strip().splitlines()
        return WorkerLost("crashed", f"the worker ended {how}" + (f": {said[-1]}" if said else ""))


def has_worker(folder: Path) -> bool:
    """Whether a folder has a harness of its own."""
    return (folder / Path(*WORKER.split("."))).with_suffix(".py").is_file()


def _program(home: Path | None) -> list[str]:
    return ["-m", WORKER] if home is None else ["-c", ELSEWHERE.format(home=str(home), worker=WORKER)]


def _ends_with() -> list[str]:
    """What a new worker is told: Linux ends it with the thread that started it, which must last as long as the run."""
    lasts = threading.current_thread() is threading.main_thread()
    return [WITH_PARENT] if sys.platform == "linux" and lasts else []


def cores_for_workers() -> tuple[int, ...]:
    """The cores that a worker may pin itself to, the last first: the first is left to the system and the parent."""
    if not hasattr(os, "sched_getaffinity"):
        return ()
    return tuple(sorted(os.sched_getaffinity(0), reverse=True))
