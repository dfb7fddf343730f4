"""Runs on a real Dask cluster on the loopback device: every cell once, also when a worker or the client is killed."""

from __future__ import annotations

import json
import shutil
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from distributed import Client

import harness
from harness.distribute import Cluster, on_scheduler
from harness.distribute import cluster as of_cluster
from harness.errors import UserError
from harness.planning.loading import load_study_of, plan_of
from harness.study.definition import Study
from harness.tables import Run, RunWriter
from tests.fake_worker import SMALL
from tests.forked import FORKED
from tests.keys import keys_of
from tests.loopback import TIMING, Loopback, loopback
from tests.recorded import record

PRECISION = """
title = "Side by side"
methods = ["native", "gather"]
[axes]
dtype = ["float32", "float16"]
n = [16, 64, 256]
k = [1, 4]
d = 8
seed = [0, 1, 2]
[precision]
references = ["native", "exact"]
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loopback]:
    """Two workers, of which the first may take times, and forks its workers."""
    with loopback(tmp_path_factory.mktemp("dask"), [(*TIMING, *FORKED), ()]) as made:
        yield made


@pytest.fixture(scope="module")
def place(cluster: Loopback) -> Iterator[Cluster]:
    """The cluster once both workers are there."""
    with Client(cluster.address, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=60)
    with on_scheduler(cluster.address) as found:
        yield found


def study_in(folder: Path, text: str) -> Study:
    folder.mkdir(exist_ok=True)
    path = folder / "trial.toml"
    path.write_text(text, encoding="utf-8")
    return harness.load_study(path)


def planned(study: Study) -> Counter[tuple[object, ...]]:
    """The keys of cells.csv, each once."""
    launches = range(1, study.launches + 1)
    return Counter((case.id, cell.method, at) for case, cells in plan_of(study) for cell in cells for at in launches)


def test_times_are_taken_where_the_resource_is_and_the_machine_of_every_cell_is_told(
    place: Cluster, tmp_path: Path
) -> None:
    study = study_in(tmp_path / "studies", SMALL)
    run = harness.run(study, tmp_path / "results", say=lambda _: None, place=place)
    assert keys_of(run)["cells"] == planned(study)
    assert set(run.cells["status"]) == {"ok"}
    (slug,) = set(run.cells["machine"])
    assert run.path.parent.parent.name == run.info["machine"]["slug"]
    assert run.info["machine"]["slug"].startswith("cluster-")
    assert run.info["machine"]["machines"][slug]["torch"]["torch"] == run.info["torch"]["torch"]
    assert (place.at_once(study), place.at_once(study_in(tmp_path / "more", PRECISION))) == (1, 2)


@pytest.fixture(scope="module")
def bereft(cluster: Loopback, place: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run amid which one Dask worker is told to end, as when its time on a cluster is over, and another is killed."""
    folder = tmp_path_factory.mktemp("bereft")
    told, killed = (cluster.add(*FORKED, cwd=folder) for _ in range(2))
    with Client(cluster.address, set_as_default=False) as client:
        client.wait_for_workers(4, timeout=60)
    commit, committed = RunWriter.commit, 0

    def end_in_the_middle(self: RunWriter, rows: Any) -> None:
        nonlocal committed
        commit(self, rows)
        committed += 1
        if committed == 10:
            told.send_signal(signal.SIGTERM)
        if committed == 16:
            killed.send_signal(signal.SIGKILL)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(RunWriter, "commit", end_in_the_middle)
        study = study_in(folder / "studies", PRECISION)
        run = harness.run(study, folder / "results", say=lambda _: None, place=place)
    assert committed == len(list(plan_of(study))) == 36
    assert told.wait(60) is not None
    assert killed.wait(60) == -signal.SIGKILL
    return run


def test_of_workers_that_end_the_cells_are_measured_by_the_others(bereft: Run) -> None:
    """No cell is taken for crashed."""
    assert keys_of(bereft)["cells"] == planned(load_study_of(bereft))
    assert set(bereft.cells["status"]) == {"ok"}


def test_what_was_killed_goes_on_by_the_cells_that_are_left(bereft: Run, place: Cluster, tmp_path: Path) -> None:
    study = study_in(tmp_path / "studies", PRECISION)
    cut = Path(shutil.copytree(bereft.path, tmp_path / "cut"))
    (cut / "run.json").write_text(json.dumps(dict(bereft.info) | {"end": None}))
    log = (cut / "cells.csv").read_bytes()
    (cut / "cells.csv").write_bytes(log[: len(log) // 2])
    with pytest.raises(UserError, match=r"begun on cluster-[0-9a-f]{8}, and this is"):
        harness.resume(cut, tmp_path / "studies", lambda _: None)
    resumed = harness.resume(cut, tmp_path / "studies", lambda _: None, place=place)
    assert keys_of(resumed)["cells"] == planned(study)
    figures = ["case", "method", "tensor", "of", "reference", "metric", "value"]
    both = [each.discrepancies[figures].sort_values(figures[:-1], ignore_index=True) for each in (bereft, resumed)]
    assert both[0].equals(both[1])


def test_a_run_of_this_machine_does_not_go_on_on_a_cluster(place: Cluster, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="begun on here, and this is a cluster"):
        harness.resume(record(tmp_path / "begun", end=None), say=lambda _: None, place=place)


def test_what_a_cluster_cannot_do_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the resource nothing is timed, and without a scheduler nothing is measured."""
    monkeypatch.setattr(of_cluster, "CONNECT_SECONDS", 2.0)
    timed, side_by_side = study_in(tmp_path / "timed", SMALL), study_in(tmp_path / "precision", PRECISION)
    with loopback(tmp_path, [()]) as bare, on_scheduler(bare.address, lambda _: None) as place:
        with pytest.raises(
            UserError, match=r"no worker of the cluster has the resource 'timing'.*--resources timing=1"
        ):
            harness.run(timed, tmp_path / "results", say=lambda _: None, place=place)
        bare.scheduler.kill()
        with pytest.raises(UserError, match="the scheduler of the cluster is gone"):
            harness.run(side_by_side, tmp_path / "results", say=lambda _: None, place=place)


def test_where_no_scheduler_is_one_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_cluster, "CONNECT_SECONDS", 0.5)
    with pytest.raises(UserError, match=r"--scheduler tcp://127.0.0.1:9: no scheduler answers"):
        on_scheduler("tcp://127.0.0.1:9", lambda _: None).__enter__()
