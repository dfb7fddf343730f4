"""A Dask cluster as a place to measure, instead of this machine."""

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
from harness.machine import CLUSTER, code_digest
from harness.session.place import Measure
from harness.study.definition import Study

CONNECT_SECONDS = 30.0

IGNORES_CTRL_C = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"
"""A local worker runs this first: the terminal sends Ctrl-C to all processes, but only the run may end the workers."""

LOCAL = {
    "distributed.deploy.lost-worker-timeout": "1000 weeks",  # a worker that dies and is restarted is never given up
    "distributed.worker.profile.enabled": False,  # Dask's profiler takes 2 % of a core in each process
    # Dask watches itself less often than it would, since it shares the cores with what is timed.
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "10s",
}
"""The settings of a local cluster."""

LOOPBACK = "127.0.0.1"


class Cluster:
    """The workers of a scheduler as a place to measure. Raises UserError if one of them cannot measure.

    option: the option of the command line that leads to this cluster again; say: shows a line to the user.
    """

    is_this_machine = False
    pinned_to: ClassVar[list[int]] = []

    def __init__(self, client: Client, option: str, say: Callable[[str], None]) -> None:
        self.option, self._say = option, say
        self._client, self._roster = client, Roster(client)

    @property
    def machine(self) -> dict[str, Any]:
        """The slug of the cluster (a digest of the kinds of its machines), and the facts and the torch of each kind."""
        kinds = self._roster.machines
        digest = hashlib.sha256("\n".join(sorted(kinds)).encode()).hexdigest()[:8]
        return {"slug": f"{CLUSTER}{digest}", "machines": kinds}

    @property
    def torch(self) -> dict[str, Any]:
        """The greeting of one of the workers, all of which have the same torch."""
        return self._roster.torch

    @property
    def devices(self) -> list[str]:
        return list(dict.fromkeys(device for worker in self._roster.workers.values() for device in worker.devices))

    def at_once(self, study: Study) -> int:
        return self._roster.at_once(study)

    def refuse(self, slug: str) -> str:
        return "" if slug.startswith(CLUSTER) else f"begun on {slug}, and this is a cluster"

    def admit(self, study: Study) -> None:
        """Raise UserError if the study is timed and no worker has the resource for it."""
        if not self.at_once(study):
            raise UserError(
                f"no worker of the cluster has the resource '{TIMING}', so none may take times: start one a machine "
                f"with `dask worker ADDRESS --nthreads 1 --resources {TIMING}=1`"
            )

    @contextmanager
    def measuring(self, study: Study) -> Iterator[Measure]:
        """A function that measures turns on the workers. Raises UserError if the scheduler is gone."""
        name = f"topk-harness-{uuid.uuid4().hex[:12]}"
        with answering(self._client):
            self._client.register_plugin(Workshop(study, code_digest(), self.torch["torch"]), name=name)
        try:
            yield Dispatch(self._roster, self._client, study, name, self._say).measure
        finally:
            with suppress(UserError), answering(self._client):  # a scheduler that is gone has no plug-ins either
                self._client.unregister_worker_plugin(name)


@contextmanager
def on_scheduler(address: str, say: Callable[[str], None] = print) -> Iterator[Cluster]:
    """The cluster of the scheduler at this address; waits for its first worker. Raises UserError if no scheduler
    answers."""
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
    """A scheduler and `count` workers on this machine, on the loopback device. Only the first one may take times.

    The workers are spawned processes, so a script that calls this needs an `if __name__ == "__main__"`.
    """
    workers = {
        number: {
            "cls": Nanny,
            "options": {
                "nthreads": 1,
                "memory_limit": 0,  # memory is used by the harness workers, which Dask does not count
                "host": LOOPBACK,
                "resources": {TIMING: 1} if number == 0 else {},
                "silence_logs": logging.CRITICAL,
                "preload": [IGNORES_CTRL_C],
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
