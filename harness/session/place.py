"""Where turns are measured: the interface of such a place, and this machine, which measures one turn at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

from harness.machine import Machine, this_machine
from harness.session.case import CaseRunner
from harness.session.process import Worker, cores_for_workers
from harness.session.side import Side
from harness.session.turn import Rows, Turn, take_turn
from harness.study.definition import Study

Measure = Callable[[Iterator[Turn]], Iterator[Rows]]
"""Measures the turns of one launch and yields their rows, as they are ready if turns run in parallel."""


class Place(Protocol):
    """A place to measure: this machine, or a cluster."""

    @property
    def machine(self) -> dict[str, Any]:
        """The facts for run.json; their `slug` names the folder of results."""

    @property
    def torch(self) -> dict[str, Any]:
        """The greeting of a worker there, which describes its Python, torch and devices."""

    @property
    def devices(self) -> list[str]:
        """The devices that are present."""

    @property
    def pinned_to(self) -> list[int]:
        """The core to which a case of one thread is pinned; empty if that is not known beforehand."""

    def at_once(self, study: Study) -> int:
        """How many turns of a study are measured in parallel."""

    def admit(self, study: Study) -> None:
        """Raise UserError if this study cannot be measured here."""

    def measuring(self, study: Study) -> AbstractContextManager[Measure]:
        """A context whose value measures the turns of this study."""

    @property
    def is_this_machine(self) -> bool:
        """Whether this process runs on the machine that measures the cells, so that facts can be measured beside
        them."""

    @property
    def option(self) -> str:
        """The option that `harness run --resume` needs in order to go on here, or ''."""

    def refuse(self, slug: str) -> str:
        """Why a run that began on the machine with this slug cannot go on here, or ''."""


class ThisMachine:
    """This machine, which measures one turn at a time. Raises UserError if no worker starts."""

    option = ""
    is_this_machine = True

    def __init__(self) -> None:
        worker = Worker.start(cores_for_workers())
        self._first: Worker | None = worker
        self._greeting, self._cores = worker.greeting, worker.cores
        self._machine: Machine = this_machine(worker.greeting["accelerator"])

    def __enter__(self) -> ThisMachine:
        return self

    def __exit__(self, *_: object) -> None:
        if self._first is not None:
            self._first.stop()

    @property
    def machine(self) -> dict[str, Any]:
        return self._machine.facts

    @property
    def torch(self) -> dict[str, Any]:
        return self._greeting

    @property
    def devices(self) -> list[str]:
        return list(self._greeting["devices"])

    @property
    def pinned_to(self) -> list[int]:
        return list(self._cores[:1])

    def at_once(self, study: Study) -> int:
        return 1

    def admit(self, study: Study) -> None:
        """Every study can be tried: a cell that is not supported becomes a row that says so."""

    def refuse(self, slug: str) -> str:
        return "" if slug == self._machine.slug else f"begun on {slug}, and this is {self._machine.slug}"

    @contextmanager
    def measuring(self, study: Study) -> Iterator[Measure]:
        first, self._first = self._first, None  # from here on the runner owns the worker and ends it
        with CaseRunner(study, [Side(lambda: Worker.spawn(cores_for_workers()), first)]) as runner:
            yield one_by_one(runner, self._machine.slug)


def one_by_one(runner: CaseRunner, slug: str) -> Measure:
    """Measures the turns of a launch one after the other, in workers that are fresh in every launch."""

    def measure(turns: Iterator[Turn]) -> Iterator[Rows]:
        runner.renew()
        for turn in turns:
            yield take_turn(runner, turn, slug)

    return measure
