"""Finds out what makes this machine noisy, and gives advice: a line for each check, none of which is a verdict."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from harness.doctor.finding import UNREAD, Finding, Word
from harness.doctor.running import aa, denormals, threads, throttling, timer
from harness.doctor.running import growth as growth_of
from harness.doctor.system import CHECKS
from harness.errors import UserError
from harness.session.process import Worker, WorkerLost, cores_for_workers
from harness.session.selfcheck import growth, resolution, spread, twins


def start_worker() -> Worker:
    """Start a worker as a run does."""
    return Worker.start(cores_for_workers())


def examine(
    root: Path = Path("/"),
    environment: Mapping[str, str] = os.environ,
    start: Callable[[], Worker] = start_worker,
    differ: Callable[[Worker], float] = lambda worker: spread(twins(worker)),
    grow: Callable[[Worker, str], tuple[float, float]] = growth,
) -> Iterator[Finding]:
    """Run all checks, one after the other.

    root: the folder that contains /proc and /sys; start: starts the worker that measures; differ: measures the A/A
    spread; grow: measures how time grows with the work on a device.
    """
    for check in CHECKS:
        yield check(root)
    yield timer(resolution())
    greeting: Mapping[str, Any] = {}
    measured, reason = UNREAD, ""
    grown: dict[str, tuple[float, float]] = {}
    try:
        with start() as worker:
            greeting = worker.greeting
            measured = differ(worker)
            grown = {device: grow(worker, device) for device in greeting.get("devices", ())}
    except (UserError, WorkerLost) as error:
        reason = str(error)
    yield threads(environment, len(cores_for_workers()), greeting.get("threads", UNREAD))
    yield denormals(greeting.get("subnormals"))
    yield throttling(greeting)
    yield growth_of(grown)
    yield aa(measured, reason)


def closing_line(findings: Sequence[Finding]) -> str:
    """How many checks there were, and how many had each result."""
    words = [each.word for each in findings]
    return f"{len(words)} checks: " + ", ".join(f"{words.count(word)} {word}" for word in get_args(Word))
