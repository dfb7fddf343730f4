"""Histories whose commits have planted faults, and workers that answer as the commit they are of says."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import pandera.pandas as pa
import pytest

import harness
from harness import duel as duels
from harness.bisect import bisect
from harness.errors import UserError
from harness.session.process import Worker
from harness.vocabulary import COUNTS
from harness.worker.protocol import PROTOCOL
from tests.fake_worker import MACHINE, FakeWorker, Reply, usual
from tests.scratch_history import Commit, make_history

STUDY = """
title = "Bisected"
methods = ["native", "gather"]
phases = ["forward", "backward"]
[axes]
n = 64
k = 4
[timing]
block_seconds = 0.0001
rounds = 2
launches = 12
"""
SD = 0.01
"""Of the logarithm of a time between launches."""

ALIKE: dict[str, Any] = {
    "slower": 0.0,
    "error": 2.0,
    "bytes": 8000,
    "protocol": PROTOCOL,
    "status": "ok",
    "count": 5000,
}
"""What the worker of a commit without a fault says; a commit with one has another of these in planted.json."""

Start = Callable[[Sequence[Commit]], list[str]]


class Planted(FakeWorker):
    """Of a commit: `gather` is as its planted.json says, in a launch of its own speed."""

    def __init__(self, folder: Path, rng: random.Random) -> None:
        super().__init__()
        self.planted = ALIKE | json.loads((folder / "planted.json").read_text(encoding="utf-8"))
        self.greeting |= {"methods": ["native", "gather"], "protocol": self.planted["protocol"]}
        self.speed = rng.gauss(1.0, SD)

    def greet(self) -> FakeWorker:
        if self.planted["status"] == "dies":
            raise UserError("worker: python cannot start one: the worker ended with exit code 1")
        return self

    def ask(self, request: Reply, seconds: float) -> Reply:
        is_gather = request.get("method") == "gather"
        if request["op"] == "time":
            slower = self.planted["slower"] if is_gather and request["phase"] == "forward" else 0.0
            return {"seconds": 1e-3 * self.speed * (1 + slower), "throttling": None}
        if request["op"] != "check":
            return usual(request)
        if is_gather and self.planted["status"] not in ("ok", "dies"):
            return {"status": self.planted["status"], "reason": "as planted"}
        if COUNTS in request["measure"]:
            return usual(request) | {"counts": [["forward", 9, self.planted["count"] if is_gather else 5000]]}
        reply = usual(request) | {"calls": {phase: {"wall": 1} for phase in ("forward", "backward")}}
        error, peak = (self.planted["error"], self.planted["bytes"]) if is_gather else (2.0, 8000)
        reply["memory"] = [["forward", 8, float(peak)]]
        if "errors" in request["measure"]:
            reply["figures"] = [["values", "method", "native", "rel_l2", float(error)]]
        return reply


def starting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Start:
    """The fixture `start`."""
    rng = random.Random(0)

    def spawn(cores: object, interpreter: object, folder: Path, *_: object) -> Worker:
        return cast(Worker, Planted(folder, rng))

    monkeypatch.setattr(Worker, "spawn", spawn)
    # A bisection reads some three hundred tables; that their checks see what is wrong is asked in tests/test_tables.py.
    monkeypatch.setattr(pa.DataFrameSchema, "validate", lambda schema, table, **_: table)
    monkeypatch.setattr(duels, "this_machine", lambda accelerator="": MACHINE)

    def begin(commits: Sequence[Commit]) -> list[str]:
        folder = tmp_path / f"repository{len(list(tmp_path.iterdir()))}"
        first = {"studies/short.toml": STUDY, "harness/measure/worker.py": "", ".gitignore": "results\n"}
        first |= {"planted.json": "{}"} | dict(commits[0].files)
        names = make_history(folder, [Commit(first), *commits[1:]])
        monkeypatch.chdir(folder)
        return names

    return begin


def planted(**fault: Any) -> Commit:
    """A commit from which on there is this fault, or none."""
    return Commit({"planted.json": json.dumps(fault)})


def fought(good: str, bad: str = "HEAD", quantity: str = "", count: bool = False) -> tuple[int, list[str]]:
    """The exit code of a bisection, and its lines; count: it counts instructions too."""
    told: list[str] = []
    study = harness.load_study("studies/short.toml")
    code = bisect(study.with_counts() if count else study, good, bad, quantity, "results", told.append)
    return code, told
