"""Where turns are measured: what a run needs to know of it, and this machine, one turn after the other."""

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
"""Measures the turns of one launch; where several are measured side by side, their rows come as they are ready."""


class Place(Protocol):
    """Somewhere to measure."""

    @property
    def machine(self) -> dict[str, Any]:
        """The facts for run.json; their `slug` names the folder of results."""

    @property
    def torch(self) -> dict[str, Any]:
        """What torch there is, as a worker's greeting tells it."""

    @property
    def devices(self) -> list[str]:
        """The devices that are present."""

    @property
    def pinned_to(self) -> list[int]:
        """The core that one thread is pinned to; none where that is not known beforehand."""

    def at_once(self, study: Study) -> int:
        """How many turns of a study are measured side by side."""

    def admit(self, study: Study) -> None:
        """Raise UserError where this study cannot be measured here."""

    def measuring(self, study: Study) -> AbstractContextManager[Measure]:
        """What measures the turns of this study."""

    @property
    def is_this_machine(self) -> bool:
        """Whether what a study's script measures beside the cells is measured where they are."""

    @property
    def option(self) -> str:
        """What `harness run --resume` must be told to go on here, or ''."""

    def refuse(self, slug: str) -> str:
        """Why a run that was begun on the machine of that slug cannot go on here, or ''."""


class ThisMachine:
    """This machine, one turn at a time. Raises UserError where no worker starts."""

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
        """Every study can be tried; what is not supported is a row."""

    def refuse(self, slug: str) -> str:
        return "" if slug == self._machine.slug else f"begun on {slug}, and this is {self._machine.slug}"

    @contextmanager
    def measuring(self, study: Study) -> Iterator[Measure]:
        first, self._first = self._first, None  # whoever runs cases in it ends it
        with CaseRunner(study, [Side(lambda: Worker.spawn(cores_for_workers()), first)]) as runner:
            yield one_by_one(runner, self._machine.slug)


def one_by_one(runner: CaseRunner, slug: str) -> Measure:
    """What measures the turns of a launch one after the other, in workers that are fresh in each."""

    def measure(turns: Iterator[Turn]) -> Iterator[Rows]:
        runner.renew()
        for turn in turns:
            yield take_turn(runner, turn, slug)

    return measure
