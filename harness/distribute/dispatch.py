"""Sends turns (a case in a launch) to the workers of a cluster, and collects their rows.

The turns of a timed study go to workers with the resource `timing`, all launches of a case to the same kind of machine.
The turns of other studies go to any worker, and run in parallel.
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
"""Turns sent out for each that can be measured at once, so that no worker has to wait for its next turn."""

MISSED = "no worker of the cluster can measure this study now: waiting for one"
LOST = "the cluster lost every worker that tried it"


class Dispatch:
    """Sends the turns of a run; name: that of its workshop on every worker; say: shows a line to the user."""

    def __init__(self, roster: Roster, client: Client, study: Study, name: str, say: Callable[[str], None]) -> None:
        self._roster, self._client, self._study, self._name, self._say = roster, client, study, name, say
        self._missed = False

    def measure(self, turns: Iterator[Turn]) -> Iterator[Rows]:
        """The rows of all turns, in the order in which they arrive; `turns` is read only as turns can be sent.

        Raises UserError if the scheduler is gone, or a worker cannot take part in this run.
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
                with suppress(Empty):  # after the timeout, look for workers that have joined or left
                    future = ended.get(timeout=LOOK_AGAIN_SECONDS)
                    yield self._result(future, under_way.pop(future))
        finally:  # nobody will collect these turns; a scheduler that is gone has none
            with suppress(UserError), answering(self._client):
                self._client.cancel(list(under_way))

    def _next(self, turns: Iterator[Turn], under_way: int) -> Iterator[Turn]:
        """The next turns to send, until enough are under way or there are no more."""
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
        """The workers that a turn may go to, as arguments of `submit`: those that have its device and are of the kind
        of machine that measured the case before."""
        workers = self._roster.workers
        able = [address for address, who in workers.items() if turn.case.device in who.devices]
        alike = [address for address in able if workers[address].slug == turn.home] or able
        if len(alike) == len(workers):
            return {}
        # If that kind has left for good, the rest is measured elsewhere, and its rows name the other machine. But the
        # turn may go elsewhere only if every worker has its device.
        return {"workers": alike, "allow_other_workers": len(able) == len(workers)}

    def _result(self, future: Future[Any], turn: Turn) -> Rows:
        """The rows of a turn that has ended. Raises UserError if a worker refused it, or the scheduler is gone."""
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
        """The rows of a turn during which several workers died: its cells are `crashed`."""
        results = [
            CellResult(cell, status="skipped" if cell.skip else "crashed", reason=cell.skip or LOST)
            for cell in turn.cells
        ]
        last = self._roster.workers.get(getattr(error.last_worker, "address", ""))
        machine = last.slug if last else next(iter(self._roster.machines))
        return rows_of(turn.case, turn.case.id, turn.launch, machine, CaseResult(results))
