"""What a plan says of the time, beside what a run took: by an earlier run of the study, or by a model."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import harness
from harness.planning.earlier import START_SECONDS, Earlier, earlier_run
from harness.planning.forecast import RUN_SECONDS, expected_seconds, forecast
from harness.planning.loading import load_study_of, plan_of
from harness.planning.model import COMPILE_SECONDS
from harness.study.definition import Study
from harness.tables import Run, read
from tests.present import needs_torch
from tests.recorded import record

WriteStudy = Callable[[str], Study]

HERE = "this_machine"

STUDY = """
title = "Small"
methods = ["native", "gather"]
phases = ["forward"]
[axes]
n = [64, 4096]
k = 4
[timing]
block_seconds = 0.02
rounds = 8
launches = 3
"""


def recorded(results: Path, begin: str = "20260101", machine: str = HERE, seconds: float = 2.0, **info: Any) -> Run:
    """A run of 12 launches in which each of the six cells took so many seconds a launch, and as long the whole."""
    path = record(results / machine / "recorded" / begin, **info)
    cells = path / "cells.csv"
    text = cells.read_text().replace("0.0,nan", f"{seconds},nan")
    assert text != cells.read_text()
    cells.write_text(text)
    sidecar = json.loads((path / "run.json").read_text())
    ended = {"begin": "2026-01-01T00:00:00+00:00", "end": "2026-01-01T00:10:00+00:00", "took_seconds": 300.0}
    (path / "run.json").write_text(json.dumps(sidecar | ended | info))
    return read(path)


def test_by_an_earlier_run_it_is_what_that_took(tmp_path: Path) -> None:
    """12 launches of 6 cells of 2 s are 144 s; starting workers 24 s; the rest of 300 s was beside the cells."""
    study = load_study_of(recorded(tmp_path)).with_launches(12)
    earlier = earlier_run(tmp_path, study, HERE)
    assert set(earlier.first.values()) == set(earlier.later.values()) == {2.0}
    assert earlier.rest == pytest.approx(300 - 144 - 12 * START_SECONDS)
    # copy was not recorded: its two cells are as much slower than the model as the others
    expected = expected_seconds(plan_of(study), earlier)
    assert 320 <= expected - RUN_SECONDS < 300 * 1.4
    *_, line = forecast(plan_of(study), earlier)
    assert line == f"expected time: about {expected:.0f} s, by the run of 2026-01-01 on this machine"
    assert expected_seconds(plan_of(study.with_launches(24)), earlier) > 1.4 * expected


def test_the_newest_run_of_this_machine_counts_else_that_of_another(tmp_path: Path) -> None:
    study = load_study_of(recorded(tmp_path, "20260102", seconds=2.0)).with_launches(12)
    recorded(tmp_path, "20260103", seconds=3.0)
    recorded(tmp_path, "20260104", "other", seconds=9.0)
    recorded(tmp_path, "reference", seconds=7.0)
    recorded(tmp_path, "20260105", seconds=8.0, end=None)  # stopped: it does not know the whole
    assert set(earlier_run(tmp_path, study, HERE).first.values()) == {3.0}
    assert set(earlier_run(tmp_path, study, "a_third").first.values()) == {9.0}
    alone = tmp_path / "alone"
    recorded(alone, machine="other", seconds=9.0)
    found = earlier_run(alone, study, HERE)
    assert set(found.first.values()) == {9.0}
    assert found.named == "by the run of 2026-01-01 on here"


def test_a_run_of_a_cluster_guides_clusters_only_and_workers_share_the_time(tmp_path: Path) -> None:
    study = load_study_of(recorded(tmp_path, machine="cluster-12ab", seconds=5.0)).with_launches(12)
    assert earlier_run(tmp_path, study, HERE) == Earlier()
    guide = earlier_run(tmp_path, study, "cluster-34cd")
    assert set(guide.first.values()) == {5.0}
    alone, shared = (expected_seconds(plan_of(study), guide, at_once) - RUN_SECONDS for at_once in (1, 4))
    assert alone > 300
    assert shared == pytest.approx(alone / 4)


@pytest.mark.parametrize("spoiled", ["rounds", "run.json", "cells.csv", "begin"])
def test_a_run_of_another_protocol_or_one_that_cannot_be_read_is_no_guide(tmp_path: Path, spoiled: str) -> None:
    run = recorded(tmp_path)
    study = load_study_of(run)
    if spoiled == "rounds":
        assert study.timing is not None
        study = study.model_copy(update={"timing": study.timing.model_copy(update={"rounds": 99})})
    elif spoiled == "begin":  # without its time zone, which the end has
        info = json.loads((run.path / "run.json").read_text())
        (run.path / "run.json").write_text(json.dumps(info | {"begin": "2026-01-01T00:00:00"}))
    else:
        (run.path / spoiled).write_text("{")
    assert earlier_run(tmp_path, study, HERE) == Earlier()
    assert earlier_run(tmp_path / "nowhere", study, HERE) == Earlier()


def test_a_cell_that_a_later_launch_skipped_took_no_time_there(tmp_path: Path) -> None:
    run = recorded(tmp_path)
    cells = pd.read_csv(run.path / "cells.csv", keep_default_na=False)
    late = cells["launch"] > 6
    cells = cells.assign(
        status=cells["status"].mask(late, "skipped"), wall_seconds=cells["wall_seconds"].mask(late, 0.0)
    )
    cells.to_csv(run.path / "cells.csv", index=False)
    found = earlier_run(tmp_path, load_study_of(run), HERE)
    assert set(found.first.values()) == set(found.later.values()) == {2.0}


def test_each_phase_that_is_compiled_takes_its_time_in_each_launch(write_study: WriteStudy) -> None:
    def expected(transform: str, *phases: str) -> float:
        axes = f"[axes]\nn = 64\nk = 4\ntransform = '{transform}'\n[timing]\nlaunches = 3\n"
        return expected_seconds(plan_of(write_study(f"title = 'T'\nmethods = 'native'\nphases = {[*phases]}\n{axes}")))

    for phases in (("forward",), ("forward", "backward")):
        took = expected("compile", *phases) - expected("eager", *phases)
        assert took == pytest.approx(3 * len(phases) * COMPILE_SECONDS)


def test_a_budget_of_each_device_bounds_what_its_cells_take(write_study: WriteStudy) -> None:
    axes = '[axes]\nn = 64\nk = 4\ndevice = ["cpu", "cuda"]\n'
    head = 'title = "T"\nmethods = ["native"]\n'
    text = head + axes + "[timing]\nrounds = 100000\n"
    free = expected_seconds(plan_of(write_study(text)))
    both = expected_seconds(plan_of(write_study(text + "budget_seconds = {cpu = 10, cuda = 20}\n")))
    one = expected_seconds(plan_of(write_study(text + "budget_seconds = {cuda = 20}\n")))
    assert both == 30 < one < free
    *_, line = forecast(plan_of(write_study(text + "budget_seconds = {cpu = 10, cuda = 20}\n")))
    assert re.fullmatch(
        r"expected time: 10 s, the budget \(about \d+ s without it\); with cuda 30 s, the budget \(about \d+ s .*\)",
        line,
    )


def test_exact_answers_that_take_longer_than_a_case_may_are_told(write_study: WriteStudy) -> None:
    head = 'title = "T"\nmethods = ["native"]\n[axes]\nn = [64, 1048576]\nk = 4\nrows = 256\nd = 64\n'
    exact = head + '[precision]\nreferences = ["native", "exact"]\n'
    (line,) = (each for each in forecast(plan_of(write_study(exact))) if "exact answers" in each)
    told = "exact answers take longer than limits.seconds = 60 in 1 case, about 344 s for rows = 256, n = 1048576, "
    assert line == told + "d = 64, float32"
    for text in (head, exact + "[limits]\nseconds = 600\n", exact + "[limits]\nmemory = 1\n"):
        assert not [each for each in forecast(plan_of(write_study(text))) if "exact answers" in each]


def test_repeated_calls_are_expected_in_every_launch(write_study: WriteStudy) -> None:
    head = 'title = "T"\nmethods = ["native"]\n[axes]\nn = 65536\nk = 4\nrows = 64\n[precision]\n'

    def cells_seconds(precision: str) -> float:
        study = write_study(head + precision)
        return expected_seconds(plan_of(study)) - RUN_SECONDS - START_SECONDS * study.launches

    once, thrice = (cells_seconds(f'metrics = ["repeat_ulp_max"]\nlaunches = {each}\n') for each in (1, 3))
    assert thrice == pytest.approx(3 * once)
    assert once > 2 * cells_seconds('metrics = ["rel_l2"]\n')


@pytest.mark.parametrize(
    "launched",
    ["[timing]\nlaunches = {}\n[precision]", '[precision]\nlaunches = {}\nmetrics = ["rel_l2", "repeat_ulp_max"]'],
    ids=["calls are timed", "calls are repeated"],
)
def test_errors_against_exact_answers_are_expected_in_the_first_launch_alone(
    write_study: WriteStudy, launched: str
) -> None:
    head = 'title = "T"\nmethods = ["native"]\n[axes]\nn = 65536\nk = 4\nd = 16\n'

    def of_exact_answers(launches: int) -> float:
        texts = (f'{head}{launched.format(launches)}\nreferences = ["{each}"]\n' for each in ("native", "exact"))
        native, exact = (expected_seconds(plan_of(write_study(text))) for text in texts)
        return exact - native

    one = of_exact_answers(1)
    assert one > 0
    assert of_exact_answers(7) == pytest.approx(one)


@needs_torch
def test_a_run_records_what_was_expected_and_what_it_took(
    write_study: WriteStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second run is told by the first. What a start takes is left out of both: workers of tests are forked."""
    for module, name in (
        ("harness.planning.earlier", "START_SECONDS"),
        ("harness.planning.forecast", "START_SECONDS"),
        ("harness.planning.forecast", "RUN_SECONDS"),
    ):
        monkeypatch.setattr(f"{module}.{name}", 0.0)
    study = write_study(STUDY)
    first = harness.run(study, tmp_path, say=lambda _: None)
    again = expected_seconds(plan_of(study), earlier_run(tmp_path, study, first.info["machine"]["slug"]))
    assert again == pytest.approx(first.info["took_seconds"], rel=0.02)
    assert first.info["expected_seconds"] == round(expected_seconds(plan_of(study)), 1)
    inside = first.cells["wall_seconds"].sum()
    assert inside < first.info["took_seconds"]


def test_counts_of_instructions_come_on_top(write_study: WriteStudy) -> None:
    assert not any("instructions" in line for line in forecast(plan_of(write_study(STUDY))))
    *_, told = forecast(plan_of(write_study(f"{STUDY}\n[instructions]\nlaunches = 3\n")))
    assert told == "instructions: counted under valgrind 3 times, which takes minutes on top of this time"
