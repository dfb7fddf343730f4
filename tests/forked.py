"""Real workers that start in milliseconds, because they are forked from a process that has imported torch.

A worker that Python starts afresh imports torch for two seconds, and the tests start more than a hundred of them. So
each pytest process keeps one server, `python -m tests.forked`: it imports the worker and what a worker imports at its
first checks, runs nothing of it, and forks a child whenever a test asks for a worker. From then on the child is what a
fresh worker is: a process of its own with pipes, folder, variables, signals and an exit code of its own.

`fork_workers` puts this in the place of `Worker.spawn`. A worker of another interpreter, of another folder, under
callgrind or with another program is started as ever, and so are the workers of every harness that runs in a process of
its own.
"""

from __future__ import annotations

import importlib
import inspect
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, cast

import pytest

from harness.session.process import HOME, Worker
from harness.worker.protocol import WITH_PARENT, end_with_parent

ASK = b"?"
SPAWN = Worker.spawn
"""How the harness itself starts a worker."""

LIKE_THE_SERVER = {"interpreter": sys.executable, "folder": None, "home": None, "counts": None, "program": ()}
"""What SPAWN is given for a worker that the server can become."""


class ForkedProcess:
    """A child of the server, with those parts of subprocess.Popen that the handle of a worker uses."""

    def __init__(self, server: socket.socket, log: Any, environment: Mapping[str, str]) -> None:
        requests, self.stdin = _pipe()
        self.stdout, replies = _pipe()
        self._control, theirs = socket.socketpair()
        with requests, replies, theirs:
            socket.send_fds(server, [ASK], [each.fileno() for each in (requests, replies, log, theirs)])
        self._told = self._control.makefile("r", encoding="utf-8")
        told = {"environment": dict(environment), "folder": os.getcwd()}  # noqa: PTH109  (as the child says it)
        self._control.sendall(json.dumps(told).encode() + b"\n")
        self.pid = int(self._told.readline())
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """The exit code, as subprocess gives it, of a process that has ended; else None."""
        if self.returncode is None and select.select([self._control], [], [], 0)[0]:
            self.wait()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its exit code. Raises subprocess.TimeoutExpired."""
        if self.returncode is None:
            if not select.select([self._control], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("a forked worker", timeout or 0.0)
            self.returncode = int(self._told.readline())
            self._told.close()
            self._control.close()
        return self.returncode

    def kill(self) -> None:
        """End it, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)


def _pipe() -> tuple[Any, Any]:
    """The end of a pipe that reads and the one that writes, unbuffered."""
    read, write = os.pipe()
    return os.fdopen(read, "rb", 0), os.fdopen(write, "wb", 0)


@contextmanager
def fork_workers() -> Iterator[None]:
    """While the context lasts, workers of this harness under this interpreter are forked from one server."""
    if sys.platform != "linux":  # where a worker ends with its parent in another way
        yield
        return
    with ExitStack() as stack:
        servers: list[socket.socket] = []

        def forked(*arguments: Any, **options: Any) -> Worker:
            call = inspect.signature(SPAWN).bind(*arguments, **options)
            call.apply_defaults()
            assert {*call.arguments} == {*LIKE_THE_SERVER, "cores", "environment"}, "an argument that is not forked"
            if {name: call.arguments[name] for name in LIKE_THE_SERVER} != LIKE_THE_SERVER:
                return SPAWN(*arguments, **options)
            if not servers:
                servers.append(stack.enter_context(_server()))
            log = tempfile.TemporaryFile()  # noqa: SIM115  (closed by Worker.stop)
            process = ForkedProcess(servers[0], log, {**os.environ, **(call.arguments["environment"] or {})})
            return Worker(cast("subprocess.Popen[bytes]", process), _turned(call.arguments["cores"]), log)

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(Worker, "spawn", forked)
            yield


FORKED = ("--preload", "tests.forked")
"""Options by which a Dask worker forks its workers too."""

_lasting = ExitStack()


def dask_setup(worker: object) -> None:
    """Called by a Dask worker that has the options FORKED, when it starts."""
    _lasting.enter_context(fork_workers())


def _turned(cores: tuple[int, ...]) -> tuple[int, ...]:
    """The same cores, beginning with another in each process of pytest-xdist, lest all pin their workers to one."""
    first = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % max(1, len(cores))
    return cores[first:] + cores[:first]


@contextmanager
def fresh_workers() -> Iterator[None]:
    """While the context lasts, workers are started as the harness itself starts them."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Worker, "spawn", SPAWN)
        yield


@contextmanager
def _server() -> Iterator[socket.socket]:
    """The socket on which a server of its own is asked for workers."""
    ours, theirs = socket.socketpair()
    command = [sys.executable, "-W", "ignore", "-m", "tests.forked", str(theirs.fileno())]
    with theirs:
        process = subprocess.Popen(command, cwd=HOME, pass_fds=[theirs.fileno()])
    with process, ours:
        yield ours
        ours.close()  # at which the server ends


# The server


def next_worker(server: socket.socket) -> Mapping[str, Any]:
    """Returns once in each child that is to be a worker, with what it was told; in the server itself never.

    Between the server and a worker stands an attendant, which waits for the worker and reports its exit code.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # attendants need not be waited for
    while True:
        asked, passed, _, _ = socket.recv_fds(server, 1, 4)
        if asked != ASK:
            sys.exit()
        if os.fork() == 0:
            server.close()
            return _attended(*passed)
        for each in passed:
            os.close(each)


def _attended(requests: int, replies: int, log: int, control: int) -> Mapping[str, Any]:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    end_with_parent([WITH_PARENT])
    talk = socket.socket(fileno=control)
    with talk.makefile("r", encoding="utf-8") as file:
        told: Mapping[str, Any] = json.loads(file.readline())
    worker = os.fork()
    if worker == 0:
        end_with_parent([WITH_PARENT])
        signal.signal(signal.SIGINT, signal.default_int_handler)
        talk.close()
        for number, each in enumerate((requests, replies, log)):
            os.dup2(each, number)
            os.close(each)
        return told
    for each in (requests, replies, log):
        os.close(each)
    talk.sendall(f"{worker}\n".encode())
    talk.sendall(f"{os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1])}\n".encode())
    os._exit(0)


def become(environment: Mapping[str, str], folder: str) -> None:
    """Take on the folder, the variables and the path for imports that `python -m` would have there."""
    inherited = _entries(os.environ)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:] = [folder, *_entries(environment), *(each for each in sys.path[1:] if each not in inherited)]
    sys.argv[1:] = []


def _entries(environment: Mapping[str, str]) -> list[str]:
    return [each for each in environment.get("PYTHONPATH", "").split(os.pathsep) if each]


if __name__ == "__main__":
    from harness.worker import serve as worker

    for each in ("torch._decomp.decompositions_for_jvp", "torch._dynamo"):  # what a worker imports at its first checks
        importlib.import_module(each)
    become(**next_worker(socket.socket(fileno=int(sys.argv[1]))))
    worker.main()
