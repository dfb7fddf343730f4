"""The process that workers of the tests are forked from: python -m tests.fork_server NUMBER, that of a socket.

It imports what a worker imports, then waits for who asks (forked.py): a connection brings the pipes and the log of a
worker, and a line of JSON that says its variables, its folder and where its harness lies. It is told the number of the
process, and at its end the exit code.
"""

from __future__ import annotations

import importlib
import json
import os
import select
import signal
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from harness.session.program import HOME, WORKER
from harness.worker.protocol import WITH_PARENT, end_with_parent

AT_FIRST_CHECKS = ("torch._decomp.decompositions_for_jvp", "torch._dynamo")
"""What a worker imports at its first checks."""


def next_worker(listening: socket.socket) -> Mapping[str, Any]:
    """Returns once in each child that is to be a worker, with what it was told; in the server itself never.

    Between the server and a worker stands an attendant, which waits for the worker and reports its exit code. The
    server ends with its input, which nobody writes.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # attendants need not be waited for
    while True:
        ready, _, _ = select.select([listening.fileno(), 0], [], [])
        if 0 in ready:
            os._exit(0)  # to end in order torch takes a second
        asked, _ = listening.accept()
        if os.fork() == 0:
            listening.close()
            return _attended(asked)
        asked.close()


def _attended(asked: socket.socket) -> Mapping[str, Any]:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    end_with_parent([WITH_PARENT])
    _, passed, _, _ = socket.recv_fds(asked, 1, 3)
    with asked.makefile("r", encoding="utf-8") as file:
        told: Mapping[str, Any] = json.loads(file.readline())
    worker = os.fork()
    if worker == 0:
        end_with_parent([WITH_PARENT])
        signal.signal(signal.SIGINT, signal.default_int_handler)
        asked.close()
        for number, each in enumerate(passed):
            os.dup2(each, number)
            os.close(each)
        return told
    for each in passed:
        os.close(each)
    asked.sendall(f"{worker}\n".encode())
    code = os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1])
    with suppress(OSError):  # who asked may have been killed
        asked.sendall(f"{code}\n".encode())
    os._exit(0)


def become(environment: Mapping[str, str], folder: str) -> None:
    """Take on the folder, the variables and the path for imports that `python -m` would have there."""
    inherited = _entries(os.environ)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:] = [folder, *_entries(environment), *(each for each in sys.path[1:] if each not in inherited)]
    sys.argv[1:] = []
    sys.dont_write_bytecode = bool(environment.get("PYTHONDONTWRITEBYTECODE"))


def worker_of(home: str) -> Any:
    """The module of the worker in that folder's harness; '': in the harness that is found from here."""
    if home != str(HOME):
        forget()
        if home:  # nothing else that lies there is found
            sys.path.insert(0, home)
            importlib.import_module("harness")
            del sys.path[0]
    return importlib.import_module(WORKER)


def forget() -> None:
    """Forget this harness and its tests: others are found from the folder."""
    for name in [each for each in sys.modules if each.partition(".")[0] in ("harness", "tests")]:
        del sys.modules[name]


def _entries(environment: Mapping[str, str]) -> list[str]:
    return [each for each in environment.get("PYTHONPATH", "").split(os.pathsep) if each]


if __name__ == "__main__":
    for each in (WORKER, *AT_FIRST_CHECKS):
        importlib.import_module(each)
    told = next_worker(socket.socket(fileno=int(sys.argv[1])))
    become(told["environment"], told["folder"])
    worker_of(told["home"]).main()
