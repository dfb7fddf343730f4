"""A device that disappears, or has failed for good in a worker: by fakes."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any, cast

import pytest
import torch

import harness
from harness.device.devices import device_of
from harness.errors import UserError
from harness.session import runs
from harness.session.process import Worker
from harness.session.request import opening
from harness.session.side import Side
from harness.study.cells import Case
from harness.study.definition import Study
from harness.tables import read
from harness.worker import serve as worker
from harness.worker.failures import Unusable
from tests.fake_worker import SMALL, FakeWorker, Reply, in_their_place, lost, measured
from tests.keys import keys_of

WriteStudy = Callable[[str], Study]


def test_a_device_that_disappears_ends_the_run_in_one_line_and_later_it_is_finished(
    write_study: WriteStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = write_study(SMALL.replace("[axes]", '[axes]\ndevice = ["cpu", "cuda"]'))
    both = ("cpu", "cuda")
    in_their_place(monkeypatch, lambda: FakeWorker(devices=both))
    undisturbed = measured(study, tmp_path / "undisturbed")
    there = iter([both])
    in_their_place(monkeypatch, lambda: FakeWorker(devices=next(there, ("cpu",))))
    with pytest.raises(UserError) as caught:
        measured(study, tmp_path)
    (folder,) = (path.parent for path in tmp_path.glob("*/trial/*/run.json"))
    beginning = "cuda has disappeared: a newly started worker no longer sees it; what is measured is kept: "
    assert str(caught.value).startswith(f"{beginning}go on with `harness run --resume {folder}")
    kept = read(folder).cells
    assert set(kept["status"]) == {"ok"}
    assert set(kept.query("launch == 2")["device"]) == {"cpu"}
    in_their_place(monkeypatch, lambda: FakeWorker(devices=both))
    assert keys_of(runs.resume(folder, tmp_path, say=lambda _: None)) == keys_of(undisturbed)


def test_a_device_that_a_worker_never_had_has_not_disappeared(
    write_study: WriteStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_their_place(monkeypatch)
    study = write_study(SMALL.replace("[axes]", '[axes]\ndevice = ["cpu", "cuda"]'))
    said: list[str] = []
    run = harness.run(study, tmp_path, say=said.append)
    assert set(run.cells["device"]) == {"cpu"}
    assert said == ["cuda is not present (torch finds cpu): its cells are dropped"]
    side = Side(lambda: cast(Worker, FakeWorker(devices=("cpu",))))  # of a duel, whose base has another torch
    assert side.running_on("cuda").greeting["devices"] == ["cpu"]
    side.drop()
    side.running_on("cuda")


def test_after_a_worker_was_lost_the_cells_are_measured_in_a_fresh_one(
    write_study: WriteStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reason = "the worker ended with exit code 1: CUDA error: device-side assert triggered"

    def answer(request: Reply) -> Reply | None:
        return lost("crashed", reason) if request.get("method") == "gather" else None

    made = in_their_place(monkeypatch, lambda: FakeWorker(answer))
    run = measured(write_study(SMALL), tmp_path)
    assert set(run.cells.query("method == 'gather'")["reason"]) == {reason}
    assert set(run.cells.query("method != 'gather'")["status"]) == {"ok"}
    assert len(made) > 2
    assert all(each.stopped for each in made)


class FakeAccelerator:
    """torch.accelerator and torch.ones, of which every call fails with what is given."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, error: Exception | None) -> None:
        def fails(*_: Any, **__: Any) -> Any:
            if error:
                raise error
            return torch.zeros(1) + 1

        monkeypatch.setattr(torch.accelerator, "synchronize", fails)
        monkeypatch.setattr(torch, "ones", fails)


@pytest.mark.parametrize(
    ("error", "broken"),
    [
        (torch.AcceleratorError("CUDA error: an illegal memory access was encountered\nCompile with ..."), True),
        (AssertionError("Torch not compiled with CUDA enabled"), True),
        (torch.OutOfMemoryError("CUDA out of memory."), False),
        (None, False),
    ],
)
def test_a_device_is_unusable_when_it_does_not_do_the_least(
    monkeypatch: pytest.MonkeyPatch, error: Exception | None, broken: bool
) -> None:
    FakeAccelerator(monkeypatch, error)
    assert device_of("cuda").is_unusable() == broken
    assert not device_of("cpu").is_unusable()


def test_a_worker_whose_device_has_failed_for_good_ends_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    error = torch.AcceleratorError("CUDA error: an illegal memory access was encountered\nCompile with ...")
    FakeAccelerator(monkeypatch, error)

    def fails(*_: object) -> None:
        raise error

    monkeypatch.setattr(worker, "OpenCase", fails)
    for name in ("set_mode", "forget", "_set_threads"):
        monkeypatch.setattr(worker, name, lambda *_: None)
    request = json.dumps(opening(Case(n=4, k=1, device="cuda"))) + "\n"
    replies = StringIO()
    with pytest.raises(Unusable, match=r"^CUDA error: an illegal memory access was encountered$"):
        worker.serve(StringIO(request), replies)
    assert len(replies.getvalue().splitlines()) == 1
    replies = StringIO()
    monkeypatch.setattr(torch, "ones", lambda *_, **__: torch.zeros(1) + 1)
    monkeypatch.setattr(torch.accelerator, "synchronize", lambda: None)
    worker.serve(StringIO(request), replies)
    assert json.loads(replies.getvalue().splitlines()[1])["status"] == "crashed"


def test_its_process_ends_at_once_with_the_reason_last(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In order, torch would wait for the device."""
    said: list[object] = []

    def serve(*_: object) -> None:
        raise Unusable("CUDA error: unspecified launch failure")

    monkeypatch.setattr(worker, "serve", serve)
    monkeypatch.setattr(os, "dup2", lambda *_: None)
    monkeypatch.setattr(os, "write", lambda place, text: said.append((place, text)))
    monkeypatch.setattr(os, "_exit", said.append)
    monkeypatch.setattr(sys, "argv", ["worker"])
    worker.main()
    assert said == [(2, b"CUDA error: unspecified launch failure\n"), 1]
