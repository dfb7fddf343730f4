"""Large studies, and runs of them by workers that answer at once: what is left is what the harness itself does."""

from __future__ import annotations

import json
import math
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

from harness.planning.forecast import forecast
from harness.planning.loading import known_names, plan_of
from harness.session.process import Worker
from harness.study.definition import Study
from harness.study.file import parse_study
from harness.study.plan import Plan

NAME = "large"
CELLS_OF_A_CASE = 4
ROUNDS = 8
PHASES = ("build", "apply", "forward", "backward", "pipeline")
"""As many blocks a cell as in the study `speed`."""

TEXT = """
title = "Large"
methods = ["native", "gather"]
[axes]
n = 64
k = 4
seed = {seeds}
[timing]
rounds = {rounds}
launches = {launches}
{timing}
"""

PLANNED = """
title = "Wide"
methods = ["native", "gather"]
[axes]
n = {sizes}
k = {sizes}
[limits]
memory = 1
"""

TENSORS, METRICS = ("values", "dy", "selection"), ("abs_max", "rel_l2", "equal_share")
CHECKED = {
    "status": "ok",
    "reason": "",
    "calls": {phase: {"wall": 7} for phase in PHASES},
    "memory": [[phase, 768, 4096.0] for phase in PHASES],
    "figures": [[tensor, "method", "native", metric, 1 / 3] for tensor in TENSORS for metric in METRICS],
}
TIMED = {"seconds": 1 / 3e6, "throttling": []}


def study_of(cells: int, launches: int = 1, rounds: int = ROUNDS, timing: str = "") -> Study:
    """A study of so many cells, a multiple of CELLS_OF_A_CASE: two methods and two yardsticks."""
    seeds = list(range(cells // CELLS_OF_A_CASE))
    text = TEXT.format(seeds=seeds, rounds=rounds, launches=launches, timing=timing)
    return parse_study(text, NAME, f"{NAME}.toml", known_names())


def requests_of_a_case(rounds: int = ROUNDS) -> int:
    """A case is opened, then each cell is checked and each of its phases timed in every round, and it is closed."""
    return 2 + CELLS_OF_A_CASE * (1 + len(PHASES) * rounds)


def plan_of_many(cells: int) -> Plan:
    """A plan of about so many cells, as hard to keep small as can be: as many values of n as of k, those over n to be
    told, and nearly every cell skipped for a reason of its own."""
    sizes = list(range(1, math.isqrt(cells) + 1))
    return plan_of(parse_study(PLANNED.format(sizes=sizes), "wide", "wide.toml", known_names()))


def peak_of_planning(cells: int) -> tuple[int, list[str]]:
    """The most bytes of Python objects that are alive while a plan of about so many cells is told, and what is told."""
    plan = plan_of_many(cells)
    tracemalloc.start()
    told = list(forecast(plan))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak, told


@dataclass
class InstantWorker:
    """A worker that is no process; after `limit` requests it ends the run, as Ctrl-C does."""

    limit: float = float("inf")
    cores: tuple[int, ...] = ()
    greeting: dict[str, Any] = field(default_factory=lambda: {"torch": "none", "accelerator": None, "devices": ["cpu"]})

    def greet(self) -> InstantWorker:
        return self

    def stop(self) -> None:
        pass

    def __enter__(self) -> InstantWorker:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def ask(self, request: dict[str, Any], seconds: float) -> dict[str, Any]:
        """The same answer always, by way of JSON."""
        self.limit -= 1
        if self.limit < 0:
            raise KeyboardInterrupt
        sent = json.loads(json.dumps(request))
        reply: dict[str, Any] = json.loads(json.dumps(TIMED if sent["op"] == "time" else CHECKED))
        return reply


@contextmanager
def instant_workers(limit: float = float("inf")) -> Iterator[None]:
    """Inside, every worker is one instant worker, of so many requests in all."""
    worker = InstantWorker(limit)

    def made(*_: object) -> InstantWorker:
        return worker

    with patch.object(Worker, "start", made), patch.object(Worker, "spawn", made):
        yield
