"""Sends turns (a case in a launch) to the workers of a cluster, and collects their rows.

The turns of a timed study go to workers with the resource `timing`, all launches of a case to the same kind of machine.
The turns of other studies go to any worker, and run in parallel. A turn on an accelerator goes only to workers that
have it; while there is none, it waits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any

from distributed import Client, Future, KilledWorker

from harness.distribute.roster import GONE, LOOK_AGAIN_SECONDS, Roster, answering
from harness.distribute.workshop import TIMING, take
from harness.errors import UserError
from harness.session.case_result import CaseResult, CellResult
from harness.session.turn import Rows, Turn, rows_of
from harness.study.definition import Study
from harness.vocabulary import HOST

AHEAD = 2
"""Turns sent out for each that can be measured at once, so that no worker has to wait for its next turn."""

MOST_SENT = 4
"""A turn is sent so often at most, if the workers that may have it leave each time: it may be what kills them. Dask
too gives a task up at the fourth worker that dies (`distributed.scheduler.allowed-failures`)."""

MISSED = "no worker of the cluster can measure this study now: waiting for one"
LOST = "the cluster lost every worker that tried it"


@dataclass(frozen=True)
class Sent:
    """A turn that is under way. bound_to: the addresses of the only workers that may have it; empty: any worker may."""

    turn: Turn
    bound_to: Sequence[str] = ()


class Dispatch:
    """Sends the turns of a run; name: that of its workshop on every worker; say: shows a line to the user."""

    def __init__(self, roster: Roster, client: Client, study: Study, name: str, say: Callable[[str], None]) -> None:
        self._roster, self._client, self._study, self._name, self._say = roster, client, study, name, say
        self._missed = False
        self._waiting: list[Turn] = []
        """Turns whose device no worker has now."""
        self._awaited: set[str] = set()
        """The devices that turns wait for, as the user has been told."""
        self._times_sent: Counter[str] = Counter()
        """Key of a task -> how often its turn was sent."""

    def measure(self, turns: Iterator[Turn]) -> Iterator[Rows]:
        """The rows of all turns, in the order in which they arrive; `turns` is read only as turns can be sent.

        Raises UserError if the scheduler is gone, or a worker cannot take part in this run.
        """
        under_way: dict[Future[Any], Sent] = {}
        ended: SimpleQueue[Future[Any]] = SimpleQueue()
        try:
            while True:
                for turn in self._next(turns, len(under_way)):
                    future, sent = self._send(turn)
                    under_way[future] = sent
                    future.add_done_callback(ended.put)
                if not under_way and not self._waiting:
                    return
                with suppress(Empty):  # after the timeout, look for workers that have joined or left
                    future = ended.get(timeout=LOOK_AGAIN_SECONDS)
                    if future in under_way:  # else it was called back
                        yield self._result(future, under_way.pop(future).turn)
                yield from self._called_back(under_way)
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
            turn = self._next_with_a_device(turns)
            if turn is None:
                return
            yield turn

    def _next_with_a_device(self, turns: Iterator[Turn]) -> Turn | None:
        """The next turn whose device some worker has, or None; those before it wait."""
        for number, turn in enumerate(self._waiting):
            if self._is_there(turn.case.device):
                self._awaited.discard(turn.case.device)
                return self._waiting.pop(number)
        for turn in turns:
            if self._is_there(turn.case.device):
                return turn
            self._wait(turn)
        return None

    def _is_there(self, device: str) -> bool:
        # Every machine has a CPU, so a turn on it may also be sent while there is no worker.
        return device == HOST or any(device in who.devices for who in self._roster.workers.values())

    def _wait(self, turn: Turn) -> None:
        """Keep a turn until a worker can have it; the user is told once of each device that is missing."""
        device = turn.case.device
        self._waiting.append(turn)
        if not self._is_there(device) and device not in self._awaited:
            self._say(f"{device}: no worker of the cluster has it now: waiting for one")
            self._awaited.add(device)

    def _send(self, turn: Turn) -> tuple[Future[Any], Sent]:
        key = f"{self._name}-{turn.launch}-{turn.case.id}"
        restriction = self._restriction(turn)
        before = self._times_sent[key]
        self._times_sent[key] += 1
        with answering(self._client):
            future = self._client.submit(
                take,
                self._name,
                turn,
                key=f"{key}-{before}" if before else key,  # a cancelled task keeps its key for a while
                resources={TIMING: 1} if self._study.timing else None,
                **restriction,
            )
        return future, Sent(turn, () if restriction.get("allow_other_workers", True) else restriction["workers"])

    def _restriction(self, turn: Turn) -> dict[str, Any]:
        """The workers that a turn may go to, as arguments of `submit`: those that have its device and are of the kind
        of machine that measured the case before."""
        workers = self._roster.workers
        able = [address for address, who in workers.items() if turn.case.device in who.devices]
        alike = [address for address in able if workers[address].slug == turn.home] or able
        if turn.case.device != HOST:  # workers without it may join
            return {"workers": alike, "allow_other_workers": False}
        # If that kind has left for good, the rest is measured elsewhere, and its rows name the other machine.
        return {} if len(alike) == len(workers) else {"workers": alike, "allow_other_workers": True}

    def _called_back(self, under_way: dict[Future[Any], Sent]) -> Iterator[Rows]:
        """Call back the turns whose workers have all left, to be sent to others; yields the rows of those given up.

        Dask would wait for those workers, and one that is started again has another address.
        """
        there = self._roster.workers
        for future, sent in list(under_way.items()):
            if not sent.bound_to or not there.keys().isdisjoint(sent.bound_to):
                continue
            with answering(self._client):
                self._client.cancel([future])
            del under_way[future]
            if self._times_sent[f"{self._name}-{sent.turn.launch}-{sent.turn.case.id}"] < MOST_SENT:
                self._wait(sent.turn)
            else:
                yield self._lost(sent.turn)

    def _result(self, future: Future[Any], turn: Turn) -> Rows:
        """The rows of a turn that has ended. Raises UserError if a worker refused it, or the scheduler is gone."""
        if future.cancelled():
            raise UserError(GONE)
        try:
            with answering(self._client):
                rows, who = future.result()
        except KilledWorker as error:
            return self._lost(turn, getattr(error.last_worker, "address", ""))
        self._roster.met(who)
        return rows

    def _lost(self, turn: Turn, address: str = "") -> Rows:
        """The rows of a turn during which several workers died: its cells are `crashed`. address: of the last one."""
        results = [
            CellResult(cell, status="skipped" if cell.skip else "crashed", reason=cell.skip or LOST)
            for cell in turn.cells
        ]
        last = self._roster.workers.get(address)
        machine = last.slug if last else turn.home or next(iter(self._roster.machines))
        return rows_of(turn.case, turn.case.id, turn.launch, machine, CaseResult(results))
