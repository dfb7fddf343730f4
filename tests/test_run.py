"""A run: every planned cell one row a launch, whatever came of it; stopped, resumed, refused."""

from __future__ import annotations

import json
import random
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import harness
from harness.errors import UserError
from harness.planning.loading import plan_of
from harness.session import runs
from harness.session.case import CaseRunner
from harness.study.definition import Study
from harness.tables import Run
from tests.conftest import SMOKE
from tests.fake_worker import SMALL, FakeWorker, Reply, in_their_place, usual
from tests.keys import KEYS, keys_of
from tests.present import REFUSED

WriteStudy = Callable[[str], Study]


def measured(study: Study, folder: Path) -> Run:
    return harness.run(study, folder, say=lambda _: None)


def test_every_planned_cell_has_one_row_a_launch(smoke: Run) -> None:
    plan = plan_of(harness.load_study("studies/smoke.toml", SMOKE))
    planned = [(case.id, cell.method, launch) for case, cells in plan for cell in cells for launch in (1, 2)]
    assert keys_of(smoke)["cells"] == Counter(planned)


def test_cells_that_are_ok_have_rows_in_every_table_and_others_in_none(smoke: Run) -> None:
    ok = smoke.cells.query("status == 'ok' and launch == 1")
    keys = set(zip(ok["case"], ok["method"], strict=True))
    for table in (smoke.timings.query("launch == 1"), smoke.memory):
        assert set(zip(table["case"], table["method"], strict=True)) == keys
    compared = ok[~ok["method"].isin(("copy", "read"))]
    rows = smoke.discrepancies
    assert set(zip(rows["case"], rows["method"], strict=True)) == set(
        zip(compared["case"], compared["method"], strict=True)
    )


def test_smoke_is_right_and_what_is_unsupported_says_why(smoke: Run) -> None:
    bad = smoke.cells.query("status != 'ok'")
    assert set(bad["status"]) <= {"unsupported"}
    assert bad["reason"].str.len().min() > 0
    assert set(bad["dtype"]) <= {"float16", "bfloat16"}
    here = bad.query("device == 'cpu'")
    assert set(zip(here["method"], here["dtype"], strict=True)) <= REFUSED


def test_blocks_come_in_whole_rounds(smoke: Run) -> None:
    for _, one in smoke.timings.groupby(["case", "launch", "round"]):
        assert sorted(one["position"]) == list(range(len(one)))
        assert not one.duplicated(["method", "phase"]).any()


def test_launches_are_the_outer_loop(smoke: Run) -> None:
    assert smoke.cells["launch"].is_monotonic_increasing


def test_a_later_launch_takes_the_calls_of_a_block_that_the_first_has_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each worker would find another number: 5 in the first launch, 6 in the second, and the first counts."""
    known: list[Any] = []
    launches = iter((5, 6))

    def make() -> FakeWorker:
        calls = next(launches)

        def answer(request: Reply) -> Reply | None:
            if request["op"] != "check":
                return None
            known.append(request["calls"])
            return usual(request) | {"calls": {"forward": {"wall": request["calls"].get("forward", calls)}}}

        return FakeWorker(answer)

    in_their_place(monkeypatch, make)
    (tmp_path / "small.toml").write_text(SMALL)
    run = measured(harness.load_study(tmp_path / "small.toml"), tmp_path / "results")
    assert set(run.timings["calls"]) == {5}
    half = len(known) // 2
    assert known == [{}] * half + [{"forward": 5}] * half


def test_the_sidecar_tells_where_from(smoke: Run) -> None:
    info = smoke.info
    assert info["text"] == Path("studies/smoke.toml").read_text(encoding="utf-8")
    assert info["begin"] <= info["end"]
    assert info["torch"]["torch"]
    assert not re.search(r"(?<![\w.])/\w", json.dumps(dict(info) | {"text": ""}))  # no path, of this machine or another
    assert smoke.path.parent.name == "smoke"
    assert smoke.path.parent.parent.name == info["machine"]["slug"] == smoke.cells["machine"].iloc[0]


def test_no_run_writes_over_another(write_study: WriteStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_their_place(monkeypatch)
    study = write_study(SMALL)
    assert measured(study, tmp_path).path != measured(study, tmp_path).path


TROUBLE = """
title = "Trouble"
methods = ["native", "tests.acceptance.faults:dies", "tests.acceptance.faults:hangs", "dense",
           "tests.acceptance.faults:wrong_values", "gather"]
phases = ["forward"]
[axes]
n = [16, 100000]
k = 4
[[exclude]]
method = "tests.acceptance.faults:hangs"  # once is enough to wait for
n = 100000
[timing]
block_seconds = 0.00001
rounds = 2
launches = 1
[limits]
seconds = 5
memory = "2 MiB"
"""


def test_a_bad_method_costs_its_own_cells_only(write_study: WriteStudy, tmp_path: Path) -> None:
    cells = measured(write_study(TROUBLE), tmp_path).cells
    status = cells.set_index(["method", "n"])["status"].to_dict()
    for n in (16, 100000):
        assert status["native", n] == status["gather", n] == "ok"
        assert status["tests.acceptance.faults:dies", n] == "crashed"
        assert status["tests.acceptance.faults:wrong_values", n] == "incorrect"
    assert status["tests.acceptance.faults:hangs", 16] == "timeout"
    assert status["dense", 16] == "ok"
    assert status["dense", 100000] == "skipped"
    assert cells.query("status != 'ok'")["reason"].str.len().min() > 0


def test_a_spent_budget_skips_and_says_so(
    write_study: WriteStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_their_place(monkeypatch)
    run = measured(write_study(SMALL + "budget_seconds = 0.000001\n"), tmp_path)
    assert set(run.cells["status"]) == {"skipped"}
    assert run.cells["reason"].str.contains("budget_seconds").all()
    assert len(run.cells) == 2 * 4 * len(plan_of(harness.load_study(tmp_path / "trial.toml")).method_names)


@pytest.mark.parametrize(("width", "last"), [(1e9, 3), (1e-9, 4)])
def test_it_stops_when_the_interval_is_narrow(
    write_study: WriteStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, width: float, last: int
) -> None:
    """Every block takes another time, so no interval has the width 0."""
    rng = random.Random(0)

    def answer(request: Reply) -> Reply | None:
        return {"seconds": rng.uniform(1e-3, 2e-3), "throttling": None} if request["op"] == "time" else None

    in_their_place(monkeypatch, lambda: FakeWorker(answer))
    study = write_study(SMALL.replace("launches = 2", f"launches = 4\nwidth = {width}"))
    run = measured(study, tmp_path)
    assert run.timings["launch"].max() == last
    assert run.cells["launch"].max() == 4
    late = run.cells.query("launch == 4")
    assert late["reason"].str.startswith("settled").all() == (last == 3)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Of fake workers, as the runs that are held against it: a test in test_faults.py kills a run of real ones."""
    folder = tmp_path_factory.mktemp("undisturbed")
    (folder / "trial.toml").write_text(SMALL)
    with pytest.MonkeyPatch.context() as patched:
        in_their_place(patched)
        return measured(harness.load_study(folder / "trial.toml"), folder)


def in_order_of_writing(run: Run) -> Iterator[tuple[str, bytes]]:
    """The lines of the tables as they were appended: those of a (case, launch) together, cells.csv last."""
    lines = {table: (run.path / f"{table}.csv").read_bytes().splitlines(keepends=True) for table in KEYS}
    for table in KEYS:
        yield table, lines[table].pop(0)
    order = run.cells[["case", "launch"]].drop_duplicates()
    for case, launch in order.itertuples(index=False):
        for table in ("timings", "memory", "discrepancies", "cells"):
            frame: pd.DataFrame = getattr(run, table)
            mine = (frame["case"] == case) & (frame["launch"] == launch if "launch" in frame else launch == 1)
            for _ in range(int(mine.sum())):
                yield table, lines[table].pop(0)


@pytest.mark.parametrize("seed", range(4))
def test_killed_at_any_byte_it_is_resumed_without_gap_or_duplicate(
    undisturbed: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    in_their_place(monkeypatch)
    folder = tmp_path / "killed"
    folder.mkdir()
    written = list(in_order_of_writing(undisturbed))
    left = random.Random(seed).randrange(sum(len(line) for _, line in written))
    for table, line in written:
        with (folder / f"{table}.csv").open("ab") as file:
            file.write(line[: max(0, left)])
        left -= len(line)
    (folder / "run.json").write_text(json.dumps(dict(undisturbed.info) | {"end": None}))
    resumed = harness.resume(folder, studies=tmp_path, say=lambda _: None)
    assert keys_of(resumed) == keys_of(undisturbed)
    assert resumed.info["end"]


def test_an_interrupted_run_is_resumed(
    write_study: WriteStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undisturbed: Run
) -> None:
    in_their_place(monkeypatch)
    cases_begun = 0
    run_case = CaseRunner.run

    def interrupted(self: CaseRunner, *arguments: Any, **options: Any) -> Any:
        nonlocal cases_begun
        cases_begun += 1
        if cases_begun == 6:
            raise KeyboardInterrupt
        return run_case(self, *arguments, **options)

    monkeypatch.setattr(CaseRunner, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        measured(write_study(SMALL), tmp_path)
    (stopped,) = tmp_path.glob("*/trial/*")
    assert json.loads((stopped / "run.json").read_text())["end"] is None
    resumed = harness.resume(stopped, studies=tmp_path, say=lambda _: None)
    assert keys_of(resumed) == keys_of(undisturbed)
    assert cases_begun == 6 + 3


def test_what_cannot_be_resumed_is_refused(undisturbed: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_their_place(monkeypatch)
    with pytest.raises(UserError, match="complete"):
        harness.resume(undisturbed.path)
    folder = Path(shutil.copytree(undisturbed.path, tmp_path / "copy"))
    info = dict(undisturbed.info) | {"end": None}
    (folder / "run.json").write_text(json.dumps(info))
    (tmp_path / "trial.toml").write_text(SMALL + "# changed\n")
    with pytest.raises(UserError, match="has changed"):
        harness.resume(folder, studies=tmp_path)
    (tmp_path / "trial.toml").unlink()
    elsewhere = dict(info["machine"]) | {"slug": "another-machine"}
    (folder / "run.json").write_text(json.dumps(info | {"machine": elsewhere}))
    with pytest.raises(UserError, match="another-machine"):
        harness.resume(folder, studies=tmp_path)


def test_weights_of_a_distribution_that_has_none_are_refused(write_study: WriteStudy) -> None:
    with pytest.raises(UserError, match="'near_ties' draws y alone"):
        write_study(SMALL.replace("[axes]", '[axes]\nd = 4\ndistribution = "near_ties"'))


METHOD_OF_ITS_OWN = """
from harness.methods.definition import selector


@selector()
def soft(*, {name}=1):
    return lambda y, k: y.topk(k)
"""


def sweeping(name: str, write_study: WriteStudy, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    """A study of a method whose parameter has that name."""
    module = f"own_{name.encode().hex()}"
    (folder / f"{module}.py").write_text(METHOD_OF_ITS_OWN.format(name=name), encoding="utf-8")
    monkeypatch.syspath_prepend(folder)
    text = SMALL.replace('"gather"', f'"{module}:soft"')
    return write_study(text.replace("[timing]", f'[parameters]\n"{name}" = [1, 2]\n[timing]'))


@pytest.mark.parametrize("name", ["launch", "value", "seed", "k", "ratio", "verdict"])
def test_a_parameter_with_the_name_of_a_column_is_refused_before_anything_is_measured(
    write_study: WriteStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Of the tables of a run, which could not be read, or of the verdicts of a duel, which would replace it."""
    made = in_their_place(monkeypatch)
    study = sweeping(name, write_study, tmp_path, monkeypatch)
    with pytest.raises(UserError, match=f"^trial: parameters.{name}: a parameter cannot have the name of a column$"):
        measured(study, tmp_path / "results")
    assert (made, [*tmp_path.glob("results")]) == ([], [])


@pytest.mark.parametrize("name", ["τ", "größe", "_of", "ratio2"])
def test_a_parameter_may_have_any_name_that_python_allows(
    write_study: WriteStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    in_their_place(monkeypatch)
    run = measured(sweeping(name, write_study, tmp_path, monkeypatch), tmp_path / "results")
    assert sorted(set(run.timings[name])) == [1, 2]


def test_nothing_is_measured_without_a_folder(write_study: WriteStudy, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(UserError, match="file"):
        measured(write_study(SMALL), blocked)


def test_the_package_offers_what_a_notebook_needs() -> None:
    functions = {"answer", "draw", "load_study", "method", "read", "resume", "run", "verdicts"}
    assert {"Case", "__version__", *functions} == set(harness.__all__)
    assert harness.resume is runs.resume
    problem = harness.draw(harness.Case(n=64, k=4, dtype="bfloat16"))
    values, indices = harness.method("dense").forward(problem.y, 4)
    assert values.tolist() == problem.y[indices].tolist()
