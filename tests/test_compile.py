"""The transform `compile`: what is compiled is checked, its seconds are told, and no block has any of them."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

import harness
from harness.device import compiler
from harness.device.compiler import compilations, compiled, compiling
from harness.session.process import Worker
from harness.study.cells import Case
from harness.study.definition import Study
from harness.topk.phases import PreparedPhase
from harness.worker.failures import one_line
from harness.worker.open_case import OpenCase
from tests.asking import checked, opening
from tests.forked import fresh_workers

CASE = Case(n=64, k=4, transform="compile")

pytestmark = pytest.mark.filterwarnings("ignore")  # what torch imports to compile warns of itself


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with Worker.start() as started:
        yield started


def test_each_compiled_cell_tells_its_seconds_also_in_the_next_case(worker: Worker) -> None:
    for k, d, phases in (
        (4, 0, ("forward", "backward", "step", "jvp", "vjp")),
        (4, 8, ("pipeline",)),
        (5, 0, ("forward",)),  # what was compiled for the first case is compiled again
    ):
        native, copy = checked(worker, Case(n=64, k=k, d=d, transform="compile"), "native", "copy", phases=phases)
        assert (native["status"], native["reason"]) == ("ok", "")
        assert tuple(native["calls"]) == phases
        assert native["compile_seconds"] > 0
        assert "compile_seconds" not in copy
    assert "compile_seconds" not in checked(worker, Case(n=64, k=4), "native")[0]


def test_what_is_sparse_is_unsupported_in_the_words_of_torch(worker: Worker) -> None:
    for reply in checked(worker, CASE, "coo", "csr"):
        assert reply["status"] == "unsupported"
        assert "sparse" in reply["reason"]
        assert ": " in reply["reason"]
        assert "\n" not in reply["reason"]


@pytest.mark.parametrize(
    ("fault", "said"), [("wrong", "values are not y"), ("wrong_gradient", "entries of dy are not the cotangent")]
)
def test_what_is_checked_is_what_was_compiled(worker: Worker, fault: str, said: str) -> None:
    name = f"tests.transformed:{fault}_when_compiled"
    worker.ask(opening(Case(n=64, k=4), phases=["forward"]), 60)
    assert worker.ask({"op": "check", "method": name, "measure": []}, 60)["status"] == "ok"
    worker.ask(opening(CASE, phases=["forward"]), 60)
    reply = worker.ask({"op": "check", "method": name, "measure": []}, 120)
    assert reply["status"] == "incorrect"
    assert said in reply["reason"]
    assert reply["calls"] == {}


def test_without_a_compiler_a_cell_is_unsupported_and_the_others_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "/no/such/compiler")  # torch reads it when it is imported
    with fresh_workers(), Worker.start() as without:
        native, copy = checked(without, CASE, "native", "copy")
        assert native["status"] == "unsupported"
        assert "No working C++ compiler" in native["reason"]
        assert copy["status"] == "ok"
        assert checked(without, Case(n=64, k=4), "native")[0]["status"] == "ok"


def test_nothing_is_compiled_again_for_the_new_memory_of_a_block() -> None:
    case = OpenCase(opening(CASE, phases=["apply", "forward", "backward"]))
    assert case.check("gather", measure=())["status"] == "ok"
    before = compilations()
    assert before > 0
    for _ in range(2):
        for name, phase in case.blocks.prepared:
            assert case.time(name, phase, 3) > 0
    assert compilations() == before


def test_a_block_in_which_something_is_compiled_is_no_time() -> None:
    case = OpenCase(opening(CASE))
    assert case.check("native", measure=())["status"] == "ok"
    while not case.blocks.checked["native", "forward"].has_followed:
        case.time("native", "forward", 1)
    grown, sizes = compiled(lambda y: y * 2), iter(range(2, 20))
    case.blocks.prepared["native", "forward"] = PreparedPhase((), lambda: lambda: grown(torch.ones(next(sizes))))
    with pytest.raises(RuntimeError, match="compiled something inside a block"):
        case.time("native", "forward", 2)


def test_what_a_process_compiles_once_is_in_the_seconds_of_no_method(monkeypatch: pytest.MonkeyPatch) -> None:
    def warm_up(device: str) -> None:
        compiler._compiler().seconds += 100

    monkeypatch.setattr(compiler, "_warm_up", warm_up)
    with compiling("cpu") as seconds:
        assert seconds() == 0


def test_the_seconds_are_a_column_of_the_cells(
    worker: Worker, write_study: Callable[[str], Study], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the worker of the others: a fresh one would import what compiles, and warm it up, for six seconds."""
    monkeypatch.setattr(Worker, "spawn", lambda *_: worker)
    monkeypatch.setattr(worker, "stop", lambda: None)
    study = write_study(
        'title = "Trial"\nmethods = ["native", "coo"]\nphases = ["forward"]\n[axes]\nn = 64\nk = 4\n'
        'transform = ["eager", "compile"]\n[timing]\nrounds = 2\nlaunches = 1\nblock_seconds = 0.0001\n'
    )
    run = harness.run(study, tmp_path, say=lambda _: None)
    cells = run.cells.set_index(["transform", "method"])
    assert cells["status"].to_dict() == {
        **{(transform, method): "ok" for transform in ("eager", "compile") for method in ("native", "copy", "read")},
        ("eager", "coo"): "ok",
        ("compile", "coo"): "unsupported",
    }
    seconds = cells["compile_seconds"]
    assert 0 < seconds["compile", "native"] < cells.loc[("compile", "native"), "wall_seconds"]
    assert all(math.isnan(value) for key, value in seconds.items() if key != ("compile", "native"))


EAGER = """
import io, json, sys
from harness.study.cells import Case
from harness.worker.serve import serve
from tests.asking import opening
requests = [opening(Case(n=64, k=4), phases=["forward"]), {"op": "check", "method": "native", "measure": []}]
replies = io.StringIO()
serve(io.StringIO("".join(json.dumps(each) + "\\n" for each in requests)), replies)
assert json.loads(replies.getvalue().splitlines()[-1])["status"] == "ok"
sys.exit("torch._dynamo" in sys.modules)
"""


def test_a_worker_of_eager_cases_does_not_wait_for_what_compiles() -> None:
    done = subprocess.run([sys.executable, "-c", EAGER], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_message_is_its_first_line_and_what_is_explained_below_it() -> None:
    assert one_line(RuntimeError("Refused\n  Hint: none\n  Explanation: It is sparse.\n  Explanation: x")) == (
        "Refused: It is sparse."
    )
    assert one_line(RuntimeError("no kernel\nwith a second line")) == "no kernel"
    assert one_line(RuntimeError("")) == "RuntimeError"
