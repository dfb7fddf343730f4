"""Faults that are no slow-downs, planted and looked for: a drift, a missing synchronise, a gradient, an ulp."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator
from functools import partial

import pandas as pd

from harness.device.clock import Clock
from harness.session.process import Worker
from harness.session.request import opening
from harness.session.sampler import Arm, sample
from harness.study.cells import Case
from harness.tables import Row
from harness.verdicts.changes import errors, paired_errors, unvarying_pairs
from harness.verdicts.judge import JUDGED_METRICS, judge_unvarying

ROUNDS = 40
DRIFT = 0.2
"""By which share a fake machine slows down while both arms get all their blocks."""

WORK = 1e-3
"""Seconds that one call of the fake device takes."""

PLANTED = "tests.planted.methods:"


def other_faults() -> Iterator[Row]:
    """Facts of the fake machine, the fake device, and two methods with a wrong gradient."""
    key = {"case": (case := Case(n=256, k=4, d=2)).id, "method": "native"} | case.axes
    for item, value, detail in (*drifts(), *synchronisations(), *gradients(case)):
        fact, _, what = item.partition(": ")
        yield key | {"fact": fact, "item": what, "value": value, "detail": detail}


def drifts() -> Iterator[tuple[str, float, str]]:
    """|log ratio| of two equal arms on a machine that slows down steadily (fake time)."""
    now = [0.0]

    def block() -> float:
        seconds = WORK * (1 + DRIFT * now[0] / (2 * ROUNDS * WORK))
        now[0] += seconds
        return seconds

    arms = [Arm(name, "forward", 1, block) for name in ("one", "two")]
    rounds: dict[int, dict[str, float]] = {}
    for each in sample(arms, ROUNDS, 0):
        rounds.setdefault(each.round, {})[each.arm.method] = each.seconds
    paired = statistics.median(math.log(each["one"] / each["two"]) for each in rounds.values())
    now[0] = 0.0
    one, two = (statistics.median(block() for _ in range(ROUNDS)) for _ in range(2))
    detail = f"log ratio of equal arms while the machine slows down by {DRIFT:.0%} (fake time)"
    yield "drift: in rounds", abs(paired), detail
    yield "drift: one after the other", abs(math.log(one / two)), detail


class FakeDevice:
    """A device whose calls return at once and whose work is waited for by synchronize; its own time, in seconds."""

    def __init__(self) -> None:
        self.time, self.pending = 0.0, 0.0

    def call(self, work: float) -> None:
        """Queue work."""
        self.time += 1e-6
        self.pending += work

    def synchronize(self) -> None:
        """Wait for all of it."""
        self.time += self.pending
        self.pending = 0.0

    def counter(self) -> int:
        """Nanoseconds."""
        return round(self.time * 1e9)


def synchronisations() -> Iterator[tuple[str, float, str]]:
    """By how much twice the work takes longer, by a clock that synchronises and by one that does not."""
    for what, waits in (("synchronised", True), ("not synchronised", False)):
        seconds = []
        for work in (WORK, 2 * WORK):
            device = FakeDevice()
            clock = Clock(device.synchronize, device.counter) if waits else Clock(counter=device.counter)
            seconds.append(clock.block(partial(device.call, work), 10))
        detail = "time of twice the work over time of the work on a fake device: 1 means that time does not grow"
        yield f"fake_device: {what}", seconds[1] / seconds[0], detail


def gradients(case: Case) -> Iterator[tuple[str, float, str]]:
    """1 where a wrong gradient is `incorrect`, and where an ulp more is `worse` or an ulp less `better`."""
    request = opening(case, loss="square", tensors=["dx"], references=["exact"], metrics=list(JUDGED_METRICS))
    frames = []
    with Worker.start() as worker:
        worker.ask(request, 60)
        wrong = worker.ask({"op": "check", "method": f"{PLANTED}wrong_gradient", "measure": []}, 60)
        for name in ("fused", f"{PLANTED}ulp_off"):
            figures = worker.ask({"op": "check", "method": name, "measure": ["errors"]}, 60)["figures"]
            columns = ["tensor", "of", "reference", "metric", "value"]
            frame = pd.DataFrame(figures, columns=columns).assign(case=case.id, dtype=case.dtype)
            frames.append(errors(frame.assign(method="fused", launch=1), JUDGED_METRICS))
    yield "wrong_gradient: incorrect", float(wrong["status"] == "incorrect"), wrong["reason"]
    (row,) = (
        judge_unvarying(unvarying_pairs(paired_errors(*frames)), {"error": 0.1})
        .query("metric == 'ulp_max'")
        .to_dict("records")
    )
    word = str(row["verdict"])
    detail = f"{word}: ulp_max of dx {row['base']:.3g} -> {row['head']:.3g}"
    yield "one_ulp: worse or better", float(word in ("worse", "better")), detail
