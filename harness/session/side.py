"""Where the cells of one side run: the worker of a sweep, or one of the two of a duel."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from harness.errors import UserError
from harness.session.process import Worker


class Side:
    """Where the cells of one side run: a worker at a time, fresh in every launch, replaced when a case kills it.

    A sweep has one side; a duel has two, whose workers are of two commits or two interpreters.
    """

    def __init__(self, spawn: Callable[[], Worker], first: Worker | None = None) -> None:
        self._spawn, self._worker = spawn, first
        self._used = False
        self._devices: set[str] = set()

    def renew(self) -> None:
        """Begin a launch: the next case runs in a fresh worker, which begins to start here."""
        if self._used:
            self.drop()
            self._worker = self._spawn()

    def drop(self) -> None:
        """End the worker, if there is one."""
        if self._worker is not None:
            self._worker.stop()
            self._worker, self._used = None, False

    def kill(self) -> None:
        """End the process of the worker while another thread waits for its reply: that thread gets a WorkerLost."""
        if (worker := self._worker) is not None:
            worker.kill()

    def running(self) -> Worker:
        """The worker, spawned if there is none, once it has greeted."""
        if self._worker is None:
            self._worker = self._spawn()
        return self._worker.greet()

    def running_on(self, device: str) -> Worker:
        """The same; raises UserError where an earlier worker had the device and this one has not.

        Rows that say 'unsupported' would be kept, though nothing is wrong with the methods.
        """
        worker = self.running()
        there = worker.greeting["devices"]
        if device in self._devices and device not in there:
            raise UserError(f"{device} has disappeared: a worker that began now does not see it any more")
        self._devices.update(there)
        return worker

    def ask(self, request: dict[str, Any], deadline: float) -> dict[str, Any]:
        """The worker's reply; raises WorkerLost where there is none by the deadline (of time.monotonic)."""
        self._used = True
        return self.running().ask(request, max(0.001, deadline - time.monotonic()))
