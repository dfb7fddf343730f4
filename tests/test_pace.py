"""Too fast to be true: measured again while the case is open, and then no answer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import harness
from harness.session.pace import LASTING_SECONDS, too_fast
from harness.session.sampler import Arm, Block
from tests.fake_worker import FakeWorker, in_their_place, measured, usual

STUDY = """
title = "One"
methods = ["native", "gather"]
phases = ["forward"]
[axes]
n = 1048576
k = 4
[timing]
rounds = 3
launches = 1
"""
BYTES = {"copy": 2**23, "read": 2**22, "native": 2**22 + 48, "gather": 2**22 + 48}
YARDSTICK = {"copy": 1e-3, "read": 0.5e-3}


def answering(seconds: Callable[[str, int], float]) -> Callable[[], FakeWorker]:
    """Workers whose blocks last seconds(method, how many blocks it had before)."""
    asked: dict[str, int] = {}

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        method, reply = request.get("method", ""), usual(request)
        if request["op"] == "check":
            reply["least_bytes"] = {"forward": BYTES[method]}
        if request["op"] == "time":
            reply["seconds"] = YARDSTICK.get(method) or seconds(method, asked.get(method, 0))
            asked[method] = asked.get(method, 0) + 1
        return reply

    return lambda: FakeWorker(answer)


def statuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: Callable[[str, int], float]) -> Any:
    in_their_place(monkeypatch, answering(seconds))
    (tmp_path / "one.toml").write_text(STUDY)
    run = measured(harness.load_study(tmp_path / "one.toml"), tmp_path / "results")
    return run, run.cells.set_index("method")[["status", "reason"]].T.to_dict("list")


def test_what_is_still_too_fast_when_measured_again_is_incorrect_and_in_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, found = statuses(tmp_path, monkeypatch, lambda method, _: 1e-4 if method == "gather" else 5e-3)
    assert found["gather"][0] == "incorrect"
    assert found["gather"][1].startswith("forward: moved its bytes 5 times as fast as ")
    assert {found[name][0] for name in ("native", "copy", "read")} == {"ok"}
    assert "gather" not in set(run.timings["method"])
    assert len(run.timings) == 3 * 3, "the blocks of the second measurement are not kept"


@pytest.mark.parametrize("slow", [3, 6, 9])
def test_one_round_that_is_not_too_fast_excuses_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slow: int) -> None:
    """The second measurement has the blocks 3 to 9."""
    _, found = statuses(tmp_path, monkeypatch, lambda _, before: 1e-3 if before == slow else 1e-4)
    assert {status for status, _ in found.values()} == {"ok"}


def test_a_block_without_a_time_excuses_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one by the device clock whose gate opened too early, in the first round of the second measurement."""
    made = answering(lambda method, before: 1e-4 if method == "gather" else 5e-3)

    def make() -> FakeWorker:
        worker, seen = made(), [0]
        usual_answer = worker.answer

        def answer(request: dict[str, Any]) -> Any:
            reply = usual_answer(request)
            if request["op"] == "time" and request["method"] in ("gather", "read", "copy"):
                seen[0] += 1
                if 9 < seen[0] <= 12:
                    return {"seconds": float("nan"), "void": "planted", "throttling": None}
            return reply

        worker.answer = answer
        return worker

    in_their_place(monkeypatch, make)
    (tmp_path / "one.toml").write_text(STUDY)
    run = measured(harness.load_study(tmp_path / "one.toml"), tmp_path / "results")
    assert run.cells.set_index("method")["status"]["gather"] == "incorrect"


def blocks(**seconds: float) -> list[Block]:
    return [Block(Arm(name, "forward", 1, lambda: 1.0), 0, 0, each) for name, each in seconds.items()]


def suspects(least: dict[str, int], **seconds: float) -> list[str]:
    return [arm.method for arm, *_ in too_fast(blocks(**seconds), lambda arm: least[arm.method])]


def test_a_yardstick_that_times_a_call_or_other_sizes_or_nothing_condemns_nobody() -> None:
    assert suspects({"read": 2**22, "native": 2**22}, read=1e-3, native=1e-4) == ["native"]
    assert suspects({"read": 2**22, "native": 2**22}, read=0.9 * LASTING_SECONDS, native=1e-7) == []
    assert suspects({"read": 2**22, "native": 2**25}, read=1e-3, native=1e-4) == []
    assert suspects({"read": 2**25, "native": 2**22}, read=1e-3, native=1e-6) == []
    assert suspects({"native": 2**22}, native=1e-9) == []
    assert suspects({"read": 0, "native": 0}, read=1e-3, native=1e-3) == []
    assert suspects({"read": 2**22, "native": 0}, read=1e-3, native=1e-9) == []
    assert suspects({"read": 2**22, "native": 2**22}, read=float("nan"), native=1e-9) == []
    assert suspects({"read": 2**22, "native": 2**22}, read=1e-3, native=float("nan")) == []
    assert suspects({"read": 2**22, "native": 2**22}, read=1e-3, native=0.95e-3) == []
