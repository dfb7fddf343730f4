"""A real Dask cluster on the loopback device: a scheduler and workers, each a process that a test may kill."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.forked import FORKED, shared

ROOT = Path(__file__).parent.parent
HOST = "127.0.0.1"
START_SECONDS = 60.0
TIMING = ("--resources", "timing=1")


@dataclass
class Loopback:
    """The address of the scheduler, and the processes of the workers."""

    address: str
    scheduler: subprocess.Popen[bytes]
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def add(self, *options: str, cwd: Path = ROOT) -> subprocess.Popen[bytes]:
        """A worker of one thread that is starting."""
        arguments = [self.address, "--nthreads", "1", "--no-nanny", "--no-dashboard", "--memory-limit", "0"]
        server = shared() if {*FORKED} <= {*options} else {}
        worker = dask("worker", *arguments, "--local-directory", str(cwd), *options, **server)
        self.workers.append(worker)
        return worker


@contextmanager
def loopback(folder: Path, workers: Sequence[Sequence[str]]) -> Iterator[Loopback]:
    """A scheduler and workers with these options, which lay their files into `folder`."""
    port = free_port()
    cluster = Loopback(f"tcp://{HOST}:{port}", dask("scheduler", "--host", HOST, "--port", str(port), "--no-dashboard"))
    try:
        _wait_for(port, cluster.scheduler)
        for options in workers:
            cluster.add(*options, cwd=folder)
        yield cluster
    finally:
        for process in (*cluster.workers, cluster.scheduler):
            process.kill()
            process.wait()


def dask(part: str, *arguments: str, **variables: str) -> subprocess.Popen[bytes]:
    """The scheduler or a worker, as `dask scheduler` and `dask worker` start them; the harness is this checkout's."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "DASK_LOGGING__DISTRIBUTED": "critical"} | variables
    command = [sys.executable, "-W", "ignore", "-m", f"distributed.cli.dask_{part}", *arguments]
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, "the scheduler ended"
        with socket.socket() as probe:
            if probe.connect_ex((HOST, port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError(f"no scheduler within {START_SECONDS} s")
