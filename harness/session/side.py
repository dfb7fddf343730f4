"""One side of a measurement: the worker of a sweep, or one of the two workers of a duel."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from harness.errors import UserError
from harness.session.process import Worker


class Side:
    """Runs the cells of one side in one worker at a time: a fresh one in every launch, and another if a case kills it.

    A sweep has one side; a duel has two, whose workers belong to two commits or two interpreters.
    """

    def __init__(self, spawn: Callable[[], Worker], first: Worker | None = None) -> None:
        self._spawn, self._worker = spawn, first
        self._used = False
        self._devices: set[str] = set()

    def renew(self) -> None:
        """Begin a launch: the next case runs in a fresh worker, which starts up from here on."""
        if self._used:
            self.drop()
            self._worker = self._spawn()

    def drop(self) -> None:
        """End the worker, if there is one."""
        if self._worker is not None:
            self._worker.stop()
            self._worker, self._used = None, False

    def kill(self) -> None:
        """Kill the worker from another thread than the one that waits for its reply; that one gets a WorkerLost."""
        if (worker := self._worker) is not None:
            worker.kill()

    def running(self) -> Worker:
        """The worker, once it has greeted; spawns one if there is none."""
        if self._worker is None:
            self._worker = self._spawn()
        return self._worker.greet()

    def running_on(self, device: str) -> Worker:
        """The worker, as `running` returns it. Raises UserError if an earlier worker had the device and this one lacks
        it.
        """
        worker = self.running()
        devices = worker.greeting["devices"]
        if device in self._devices and device not in devices:
            # Going on would keep rows that say 'unsupported', although nothing is wrong with the methods.
            raise UserError(f"{device} has disappeared: a newly started worker no longer sees it")
        self._devices.update(devices)
        return worker

    def ask(self, request: dict[str, Any], deadline: float) -> dict[str, Any]:
        """The worker's reply; raises WorkerLost if there is none by the deadline (of time.monotonic)."""
        self._used = True
        # After the deadline a request is sent all the same, so that it ends like any other that takes too long.
        return self.running().ask(request, max(0.001, deadline - time.monotonic()))
