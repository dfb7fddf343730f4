"""Which turn goes to which worker, and what comes back.

Turns of a study that takes times go to workers with the resource `timing`, and those of a case to one kind of machine
in all launches. Others go to any worker, side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

from distributed import Client, Future, KilledWorker

from harness.distribute.roster import GONE, LOOK_AGAIN_SECONDS, Roster, answering
from harness.distribute.workshop import TIMING, take
from harness.errors import UserError
from harness.session.case_result import CaseResult, CellResult
from harness.session.turn import Rows, Turn, rows_of
from harness.study.definition import Study

AHEAD = 2
"""Turns that are under way for each that can be measured at once: a worker need not wait for its next."""

MISSED = "no worker of the cluster can measure this study now: waiting for one"
LOST = "the cluster lost every worker that tried it"


class Dispatch:
    """Sends the turns of a run; name: of its workshop on every worker; say: takes a line for the person who waits."""

    def __init__(self, roster: Roster, client: Client, study: Study, name: str, say: Callable[[str], None]) -> None:
        self._roster, self._client, self._study, self._name, self._say = roster, client, study, name, say
        self._missed = False

    def measure(self, turns: Iterator[Turn]) -> Iterator[Rows]:
        """The rows of all turns of a launch, as they come; a turn is asked for when it can be sent.

        Raises UserError where the scheduler is gone, or a worker does not belong.
        """
        under_way: dict[Future[Any], Turn] = {}
        ended: SimpleQueue[Future[Any]] = SimpleQueue()
        try:
            while True:
                for turn in self._next(turns, len(under_way)):
                    future = self._send(turn)
                    under_way[future] = turn
                    future.add_done_callback(ended.put)
                if not under_way:
                    return
                with suppress(Empty):  # then look again who is there
                    future = ended.get(timeout=LOOK_AGAIN_SECONDS)
                    yield self._result(future, under_way.pop(future))
        finally:
            with suppress(UserError), answering(self._client):
                self._client.cancel(list(under_way))

    def _next(self, turns: Iterator[Turn], under_way: int) -> Iterator[Turn]:
        """Turns, until enough are under way or there are no more."""
        self._roster.look()
        places = self._roster.at_once(self._study)
        if not places and not self._missed:
            self._say(MISSED)
        self._missed = not places
        for _ in range(AHEAD * max(1, places) - under_way):
            turn = next(turns, None)
            if turn is None:
                return
            yield turn

    def _send(self, turn: Turn) -> Future[Any]:
        with answering(self._client):
            return self._client.submit(
                take,
                self._name,
                turn,
                key=f"{self._name}-{turn.launch}-{turn.case.id}",
                resources={TIMING: 1} if self._study.timing else None,
                **self._restriction(turn),
            )

    def _restriction(self, turn: Turn) -> dict[str, Any]:
        """Where a turn may go: a worker that has its device, and is of the kind that measured the case before."""
        there = self._roster.workers
        able = [address for address, who in there.items() if turn.case.device in who.devices]
        near = [address for address in able if there[address].slug == turn.home] or able
        if len(near) == len(there):
            return {}
        # Of a kind that has left for good the rest is measured elsewhere, as another machine's. Without the device
        # nobody can.
        return {"workers": near, "allow_other_workers": len(able) == len(there)}

    def _result(self, future: Future[Any], turn: Turn) -> Rows:
        """What came of a turn. Raises UserError where a worker refused, or nothing will come any more."""
        if future.cancelled():
            raise UserError(GONE)
        try:
            with answering(self._client):
                rows, who = future.result()
        except KilledWorker as error:
            return self._lost(turn, error)
        self._roster.met(who)
        return rows

    def _lost(self, turn: Turn, error: KilledWorker) -> Rows:
        """The rows of a turn that cost several workers their life."""
        results = [
            CellResult(each, status="skipped" if each.skip else "crashed", reason=each.skip or LOST)
            for each in turn.cells
        ]
        last = self._roster.workers.get(getattr(error.last_worker, "address", ""))
        machine = last.slug if last else next(iter(self._roster.machines))
        return rows_of(turn.case, turn.case.id, turn.launch, machine, CaseResult(results))
