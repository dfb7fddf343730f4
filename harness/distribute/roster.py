"""The workers of a scheduler, and the kinds of machines that they run on."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from distributed import Client

from harness.distribute.workshop import Introduction, introduce, unlike
from harness.errors import UserError
from harness.machine import code_digest
from harness.study.definition import Study

LOOK_AGAIN_SECONDS = 5.0
"""Seconds between two looks for workers that have joined or left."""

GONE = "the scheduler of the cluster is gone"


@contextmanager
def answering(client: Client) -> Iterator[None]:
    """A context for requests to the scheduler. Raises UserError if the scheduler is gone."""
    try:
        yield
    except Exception as error:
        if client.status == "running" and not isinstance(error, OSError):  # TimeoutError is an OSError
            raise
        raise UserError(GONE) from None


class Roster:
    """The workers of a scheduler. Raises UserError if one of them runs other code or another torch.

    workers: address -> who it is. machines: slug -> the facts of that kind of machine, with its `torch`; kinds whose
    workers have all left are kept.
    """

    def __init__(self, client: Client) -> None:
        self.workers: dict[str, Introduction] = {}
        self.machines: dict[str, dict[str, Any]] = {}
        self._client = client
        self._looked = 0.0
        self.look()
        if not self.workers:
            raise UserError("the cluster has no worker any more")

    @property
    def torch(self) -> dict[str, Any]:
        """The greeting of the first worker; all have the same version of torch."""
        torch: dict[str, Any] = next(iter(self.machines.values()))["torch"]
        return torch

    def at_once(self, study: Study) -> int:
        """How many turns of a study can be measured at once: of a timed study only one on each machine."""
        return sum(who.timing if study.timing else who.threads for who in self.workers.values())

    def look(self) -> None:
        """Look for workers that have joined or left, unless the last look was a moment ago."""
        if self._looked and time.monotonic() - self._looked < LOOK_AGAIN_SECONDS:
            return
        with answering(self._client):
            present = list(self._client.nthreads())
            self.workers = {address: who for address, who in self.workers.items() if address in present}
            joined = [address for address in present if address not in self.workers]
            replies = self._client.run(introduce, workers=joined, on_error="return") if joined else {}
        self._greet(replies)
        self._looked = time.monotonic()

    def met(self, who: Introduction) -> None:
        """Remember the kind of machine of a worker."""
        self.machines.setdefault(who.slug, who.machine | {"torch": who.torch})

    def _greet(self, replies: Mapping[str, Any]) -> None:
        for address, who in replies.items():
            if isinstance(who, OSError):  # the worker left before it could answer
                continue
            if isinstance(who, Exception):
                raise UserError(f"{address}: {who}")
            self.workers[address] = who
            self.met(who)
            if why := unlike(who, code_digest(), self.torch["torch"]):
                raise UserError(f"{address}: {why}")
