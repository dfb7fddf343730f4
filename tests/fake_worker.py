"""Workers that are no processes: they answer at once, as a test tells them, so that a whole run costs no torch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

import harness
from harness.machine import Machine
from harness.session import place
from harness.session.process import Worker, WorkerLost
from harness.study.definition import Study
from harness.tables import Run
from harness.worker.protocol import PROTOCOL

Reply = dict[str, Any]
Answer = Callable[[Reply], Reply | None]

SMALL = """
title = "Small"
methods = ["native", "gather"]
phases = ["forward"]
[axes]
n = [16, 64]
k = [1, 4]
[timing]
block_seconds = 0.00001
rounds = 2
launches = 2
"""

DRAWS = '''
def nothing(run):
    """Nothing."""
    from matplotlib import pyplot

    return pyplot.figure()


FIGURES = (nothing,)
'''

MACHINE = Machine("a cpu", 2, 8, "Linux")


class FakeWorker:
    """Answers that all is well; answer: what it says instead to a request, where that is not None; it may raise.

    folder: where the code of its side of a duel lies.
    """

    folder: Path | None = None

    def __init__(self, answer: Answer = lambda request: None, devices: tuple[str, ...] = ("cpu",)) -> None:
        self.answer = answer
        self.greeting: Reply = {"accelerator": "", "devices": list(devices), "torch": "2.x", "protocol": PROTOCOL}
        self.cores: tuple[int, ...] = (0,)
        self.stopped = False

    def __enter__(self) -> FakeWorker:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def greet(self) -> FakeWorker:
        return self

    def stop(self) -> None:
        self.stopped = True

    def kill(self) -> None:
        self.stopped = True

    def ask(self, request: Reply, seconds: float) -> Reply:
        assert not self.stopped
        return self.answer(request) or usual(request)


def usual(request: Reply) -> Reply:
    """What a worker says when all is well: two phases, a figure, and a millisecond a call."""
    if request["op"] == "time":
        return {"seconds": 1e-3, "throttling": None}
    figures = [["values", "method", "native", "ulp_max", 0.0]] if "errors" in request.get("measure", ()) else []
    memory = [["forward", 8, 0.0]] if "memory" in request.get("measure", ()) else []
    return {"status": "ok", "reason": "", "calls": {"forward": {"wall": 1}}, "memory": memory, "figures": figures}


def lost(status: str = "crashed", reason: str = "the worker ended by SIGKILL") -> Reply:
    """Of an answer: there is none."""
    raise WorkerLost(status, reason)


def in_their_place(monkeypatch: pytest.MonkeyPatch, make: Callable[[], FakeWorker] = FakeWorker) -> list[FakeWorker]:
    """Every worker of a run is made by `make` from now on; they are listed in the order of their start."""
    made: list[FakeWorker] = []

    def start(*arguments: Any, **_: object) -> Worker:
        made.append(make())
        made[-1].folder = arguments[2] if len(arguments) > 2 else None
        return cast(Worker, made[-1])

    monkeypatch.setattr(Worker, "start", start)
    monkeypatch.setattr(Worker, "spawn", start)
    monkeypatch.setattr(place, "this_machine", lambda accelerator="": MACHINE)
    return made


def measured(study: Study, results: Path) -> Run:
    """A run without its words; the study's script, if it has one, lies in the results too."""
    return harness.run(study, results, studies=results, say=lambda _: None)
