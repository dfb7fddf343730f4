"""The workers of a Dask scheduler as a place to measure."""

from __future__ import annotations

import hashlib
import logging
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, ClassVar

import dask
from distributed import Client, Nanny, Scheduler, SpecCluster

from harness.distribute.dispatch import Dispatch
from harness.distribute.roster import Roster, answering
from harness.distribute.workshop import TIMING, Workshop
from harness.errors import UserError
from harness.machine import code_digest
from harness.session.place import Measure
from harness.study.definition import Study

CLUSTER = "cluster-"
"""Begins the slug of a cluster, and so the name of its folder of results."""

CONNECT_SECONDS = 30.0

DEAF = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"
"""What a local worker runs first: Ctrl-C is for the run, which then ends its workers."""

LOCAL = {
    "distributed.deploy.lost-worker-timeout": "1000 weeks",  # one that dies often, and is started again, is not lost
    "distributed.worker.profile.enabled": False,  # what Dask watches itself by takes 2 % of a core in each process
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "10s",
}
"""The settings of a local cluster."""

LOOPBACK = "127.0.0.1"


class Cluster:
    """The workers of a scheduler as a place. Raises UserError where one of them cannot measure.

    option: what the command line must be told to come here again; say: takes a line for the person who waits.
    """

    is_this_machine = False
    pinned_to: ClassVar[list[int]] = []

    def __init__(self, client: Client, option: str, say: Callable[[str], None]) -> None:
        self.option, self._say = option, say
        self._client, self._roster = client, Roster(client)

    @property
    def machine(self) -> dict[str, Any]:
        """The slug of the cluster, by the kinds of its machines; of each kind its facts and its torch."""
        kinds = self._roster.machines
        digest = hashlib.sha256("\n".join(sorted(kinds)).encode()).hexdigest()[:8]
        return {"slug": f"{CLUSTER}{digest}", "machines": kinds}

    @property
    def torch(self) -> dict[str, Any]:
        """The greeting of one of the workers: all have the same version."""
        return self._roster.torch

    @property
    def devices(self) -> list[str]:
        return list(dict.fromkeys(device for each in self._roster.workers.values() for device in each.devices))

    def at_once(self, study: Study) -> int:
        return self._roster.at_once(study)

    def refuse(self, slug: str) -> str:
        return "" if slug.startswith(CLUSTER) else f"begun on {slug}, and this is a cluster"

    def admit(self, study: Study) -> None:
        """Raise UserError where the study takes times and no worker may."""
        if not self.at_once(study):
            raise UserError(
                f"no worker of the cluster has the resource '{TIMING}', so none may take times: start one a machine "
                f"with `dask worker ADDRESS --nthreads 1 --resources {TIMING}=1`"
            )

    @contextmanager
    def measuring(self, study: Study) -> Iterator[Measure]:
        """What measures turns on the workers. Raises UserError where the scheduler is gone."""
        name = f"topk-harness-{uuid.uuid4().hex[:12]}"
        with answering(self._client):
            self._client.register_plugin(Workshop(study, code_digest(), self.torch["torch"]), name=name)
        try:
            yield Dispatch(self._roster, self._client, study, name, self._say).measure
        finally:
            with suppress(UserError), answering(self._client):  # where it is gone, so is what it had
                self._client.unregister_worker_plugin(name)


@contextmanager
def on_scheduler(address: str, say: Callable[[str], None] = print) -> Iterator[Cluster]:
    """The workers of the scheduler at this address; waits until there is one. Raises UserError where there is none."""
    try:
        client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise UserError(f"--scheduler {address}: no scheduler answers: {error}") from None
    with client:
        if not client.nthreads():
            say(f"{address} has no worker yet: waiting for one")
            client.wait_for_workers(1)
        yield Cluster(client, f" --scheduler {address}", say)


@contextmanager
def on_local_workers(count: int, say: Callable[[str], None] = print) -> Iterator[Cluster]:
    """A scheduler and so many workers on this machine, on the loopback device; the first may take times.

    The workers are spawned: a script that calls this needs its `if __name__ == "__main__"`.
    """
    workers = {
        number: {
            "cls": Nanny,
            "options": {
                "nthreads": 1,
                "memory_limit": 0,  # what is measured is no memory of the worker's own
                "host": LOOPBACK,
                "resources": {TIMING: 1} if number == 0 else {},
                "silence_logs": logging.CRITICAL,
                "preload": [DEAF],
            },
        }
        for number in range(count)
    }
    address = {"host": LOOPBACK, "port": 0, "dashboard": False, "dashboard_address": f"{LOOPBACK}:0"}
    scheduler = {"cls": Scheduler, "options": address}
    with (
        dask.config.set(LOCAL),
        SpecCluster(workers, scheduler, silence_logs=logging.CRITICAL) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        client.wait_for_workers(count)
        yield Cluster(client, f" --local-cluster {count}", say)
