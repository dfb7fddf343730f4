"""Of a case whose time is over, what took longest is the timeout, not what was asked last. Workers are fakes."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.study.definition import Study
from tests.fake_worker import SMALL, FakeWorker, Reply, in_their_place, lost, measured

THREE = SMALL.replace('"gather"', '"gather", "dense"').replace("launches = 2", "launches = 1")


def test_what_took_longest_is_given_up_and_the_others_begin_anew(
    write_study: Callable[[str], Study], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = 0

    def answer(request: Reply) -> Reply | None:
        nonlocal slow
        if request.get("op") == "check" and request["method"] == "gather":
            slow += 1
            time.sleep(0.05)
        elif request.get("op") == "check" and request["method"] == "dense" and slow % 2:
            slow += 1  # of this case nothing is left for it
            return lost("timeout", "no answer within 0.001 s")
        return None

    in_their_place(monkeypatch, lambda: FakeWorker(answer))
    study = write_study(THREE + "[limits]\nseconds = 7\n")
    cells = measured(study, tmp_path).cells
    assert slow == 2 * cells["case"].nunique()
    became = cells.groupby("method")["status"].unique().map(list).to_dict()
    assert became == {name: ["timeout" if name == "gather" else "ok"] for name in became}
    assert {"gather", "dense", "native"} <= set(became)
    (reason,) = {re.sub(r"0\.0\d+ s", "... s", each) for each in cells.query("method == 'gather'")["reason"]}
    assert reason == "one request took ... s of the 7 s of its case (limits.seconds)"
