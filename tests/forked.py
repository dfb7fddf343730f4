"""Real workers that start in milliseconds, because they are forked from a process that has imported torch.

A worker that Python starts afresh imports torch for two seconds, and the tests start more than a hundred of them. So
each pytest process keeps one server (fork_server.py): it imports the worker and what a worker imports at its first
checks, runs nothing of it, and forks a child whenever a test asks for a worker. From then on the child is what a fresh
worker is: a process of its own with pipes, folder, variables, signals and an exit code of its own.

`fork_workers` puts this in the place of `Worker.spawn`. A process that a test starts can fork its workers from the same
server: it is given the variable of `shared` and calls `fork_all`. A worker of another interpreter, under callgrind or
with another program is started as ever.
"""

from __future__ import annotations

import inspect
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

from harness.repository.git import unbound
from harness.session.process import Worker
from harness.session.program import HOME

ASK = b"?"
SPAWN = Worker.spawn
"""How the harness itself starts a worker."""

LIKE_THE_SERVER = {"interpreter": sys.executable, "counts": None, "program": ()}
"""What SPAWN is given for a worker that the server can become."""

TOLD = {"cores", "environment", "folder", "home"}
"""What else SPAWN may be given."""

ADDRESS = "FORKED_WORKERS"
"""The variable that tells a process which server there is."""


class Server:
    """The process that workers, or others, are forked from; it starts when the first of them is asked for.

    module: what it runs.
    """

    def __init__(self, module: str = "tests.fork_server") -> None:
        self._module = module
        self._lock = threading.Lock()
        self._address = ""
        self._process: subprocess.Popen[bytes] | None = None

    def address(self) -> str:
        """The name of its socket, which is in no folder (an abstract one of Linux)."""
        with self._lock:
            if self._process is None:
                self._address = f"{self._module}-{os.getpid()}"
                with socket.socket(socket.AF_UNIX) as listening:
                    listening.bind(f"\0{self._address}")
                    listening.listen()
                    command = [sys.executable, "-W", "ignore", "-m", self._module, str(listening.fileno())]
                    passed = [listening.fileno()]
                    self._process = subprocess.Popen(command, cwd=HOME, stdin=subprocess.PIPE, pass_fds=passed)
            return self._address

    def close(self) -> None:
        """End it, and the workers that are left."""
        if self._process is not None:
            self._process.communicate()  # it ends with its input
            self._process = None


SERVER = Server()


class ForkedProcess:
    """A child of a server, with those parts of subprocess.Popen that the handle of a worker uses."""

    def __init__(self, address: str, log: Any, told: Mapping[str, Any]) -> None:
        requests, self.stdin = _pipe()
        self.stdout, replies = _pipe()
        self._control = socket.socket(socket.AF_UNIX)
        self._control.connect(f"\0{address}")
        with requests, replies:
            socket.send_fds(self._control, [ASK], [each.fileno() for each in (requests, replies, log)])
        self._control.sendall(json.dumps(told).encode() + b"\n")
        self._told = self._control.makefile("r", encoding="utf-8")
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


def forking(address: Callable[[], str]) -> Callable[..., Worker]:
    """What takes the place of SPAWN: workers are forked from the server of that address."""

    def forked(*arguments: Any, **options: Any) -> Worker:
        call = inspect.signature(SPAWN).bind(*arguments, **options)
        call.apply_defaults()
        given = call.arguments
        assert {*given} == {*LIKE_THE_SERVER, *TOLD}, "an argument that is not forked"
        if {name: given[name] for name in LIKE_THE_SERVER} != LIKE_THE_SERVER:
            return SPAWN(*arguments, **options)
        folder, home = given["folder"], given["home"]
        log = tempfile.TemporaryFile()  # noqa: SIM115  (closed by Worker.stop)
        told = {
            "environment": {**unbound(os.environ), **(given["environment"] or {})},
            "folder": str(folder or os.getcwd()),  # noqa: PTH109  (as the child says it)
            "home": "" if folder and not home else str(home or HOME),
        }
        process = ForkedProcess(address(), log, told)
        return Worker(cast("subprocess.Popen[bytes]", process), _turned(given["cores"]), log, folder=home or folder)

    return forked


@contextmanager
def fork_workers() -> Iterator[None]:
    """While the context lasts, workers of this process are forked from a server of its own."""
    if sys.platform != "linux":  # where a worker ends with its parent in another way
        yield
        return
    try:
        with _spawned(forking(SERVER.address)):
            yield
    finally:
        SERVER.close()


@contextmanager
def fresh_workers() -> Iterator[None]:
    """While the context lasts, workers are started as the harness itself starts them."""
    with _spawned(SPAWN):
        yield


@contextmanager
def _spawned(spawn: Callable[..., Worker]) -> Iterator[None]:
    """While the context lasts, this starts a worker."""
    import pytest  # late: what forks its workers by fork_all is no test

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Worker, "spawn", spawn)
        yield


def shared() -> dict[str, str]:
    """The variable by which a process that this one starts can fork its workers from the same server."""
    return {ADDRESS: SERVER.address()} if sys.platform == "linux" else {}


def fork_all() -> None:
    """From now on workers of this process are forked from the server that it was told of; if of none, nothing is."""
    if ADDRESS in os.environ:
        Worker.spawn = forking(lambda: os.environ[ADDRESS])  # type: ignore[method-assign]


COMMAND = "from tests.forked import fork_all; fork_all(); from harness.cli import main; main()"
"""What a Python runs to be the command line whose workers are forked."""

FORKED = ("--preload", "tests.forked")
"""Options by which a Dask worker forks its workers too."""


def dask_setup(worker: object) -> None:
    """Called by a Dask worker that has the options FORKED, when it starts."""
    fork_all()


def _turned(cores: tuple[int, ...]) -> tuple[int, ...]:
    """The same cores, beginning with another in each process of pytest-xdist, lest all pin their workers to one."""
    first = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % max(1, len(cores))
    return cores[first:] + cores[:first]
