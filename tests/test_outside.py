"""A method of another package: named by its import path in a study, found by PYTHONPATH, run as a person would."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from harness import duel as duels
from harness.duel.origin import Origin
from harness.errors import UserError
from harness.machine import Revision
from harness.planning.loading import known_names
from harness.precision import metrics, own_metrics
from harness.precision.metrics import METRICS, Comparison, Metric, evaluate, metric
from harness.session.process import Worker
from harness.study.cells import Case
from harness.study.file import parse_study
from harness.tables import newest_run, read
from tests.asking import opening
from tests.command_line import call, refused
from tests.fake_worker import MACHINE, SMALL, FakeWorker, Reply, in_their_place

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "tests" / "outside"
METHOD = "topk_by_parts.selection:by_parts"
METRIC = "topk_by_parts.metrics:ulp_median"

STUDY = f"""
title = "Mine"
methods = ["native", "{METHOD}"]
phases = ["forward", "backward"]
[axes]
n = [64, 65]
k = 5
[parameters]
parts = [2, 3]
[timing]
block_seconds = 0.0001
rounds = 2
launches = 1
[precision]
references = ["native", "exact"]
metrics = ["rel_l2", "flips", "{METRIC}"]
"""


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """Metrics that a test registers are not among those of the harness in other tests of this process."""
    registries: tuple[Any, ...] = (METRICS, metrics.NEEDS)
    kept = [each.copy() for each in registries]
    yield
    for each, before in zip(registries, kept, strict=True):
        each.clear()
        each.update(before)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder outside the repository with the study `mine`."""
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "mine.toml").write_text(STUDY)
    return tmp_path


def harness(folder: Path, *arguments: str, package: Path | None = PACKAGE) -> subprocess.CompletedProcess[str]:
    """python -m harness, in a folder; package: what PYTHONPATH has besides this repository."""
    path = os.pathsep.join(str(each) for each in (ROOT, package) if each)
    return subprocess.run(
        [sys.executable, "-m", "harness", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


def test_its_rows_are_in_every_table_and_are_read_without_it(folder: Path) -> None:
    planned = harness(folder, "plan", "mine")
    assert (planned.returncode, planned.stderr) == (0, "")
    done = harness(folder, "run", "mine")
    assert done.returncode == 0, done.stderr
    assert METHOD in done.stdout
    run = read(newest_run(folder / "results", "mine"))
    own = run.cells[run.cells["method"] == METHOD]
    assert own["status"].tolist() == ["ok"] * 4
    assert sorted(own["parts"]) == [2, 2, 3, 3]
    for table in (run.timings, run.memory):
        phases = table.loc[table["method"] == METHOD, "phase"]
        assert set(phases) == {"forward", "backward"}
    errors: pd.DataFrame = run.discrepancies[run.discrepancies["method"] == METHOD]
    assert set(errors["tensor"]) == {"values", "dy", "selection"}
    against_native = errors[errors["reference"] == "native"]
    assert against_native.loc[against_native["metric"] == "rel_l2", "value"].tolist() == [0.0] * 8
    assert set(errors.loc[errors["metric"] == METRIC, "tensor"]) == {"values", "dy"}
    assert against_native.loc[against_native["metric"] == METRIC, "value"].tolist() == [0.0] * 8
    told = harness(folder, "export", "mine", "--to", "markdown", package=None)
    assert told.returncode == 0, told.stderr
    assert METHOD in told.stdout.replace("\\", "")  # Markdown escapes an underscore


def compared(errors: list[float]) -> Comparison:
    want = np.ones(len(errors))
    return Comparison(want + np.array(errors) * 2.0**-23, want, "float32")


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The package can be imported in this process, which forgets it afterwards."""
    monkeypatch.setattr(sys, "path", [str(PACKAGE), *sys.path])
    yield
    forget()


def forget() -> None:
    for name in [each for each in sys.modules if each.partition(".")[0] == "topk_by_parts"]:
        del sys.modules[name]


@pytest.mark.usefixtures("installed")
def test_a_metric_of_an_import_path_is_that_function(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "METRICS", METRICS.copy())
    monkeypatch.setattr(own_metrics, "METRICS", metrics.METRICS)
    own_metrics.import_metrics(["rel_l2", METRIC])
    assert evaluate(METRIC, compared([0, 3, 8])) == 3
    with pytest.raises(UserError, match="has a second 'rel_l2': that name is taken"):
        metric(rel_l2)
    assert metrics.METRICS["rel_l2"] is METRICS["rel_l2"]


OF_THEIR_OWN = """
from harness.precision.metrics import metric_of

@metric_of("bound")
def over_the_bound(c):
    return float((c.errors > c.bound).mean())

def component_max(c):
    return 7.0
"""


def test_a_metric_needs_what_it_says_and_not_what_one_of_the_same_name_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "of_their_own.py").write_text(OF_THEIR_OWN)
    monkeypatch.syspath_prepend(tmp_path)
    over, largest = (f"of_their_own:{name}" for name in ("over_the_bound", "component_max"))
    own_metrics.import_metrics([over, largest])
    without = compared([0, 3, 8])
    assert evaluate(over, without) is None
    assert evaluate(over, replace(without, bound=np.full(3, 4 * 2.0**-23))) == pytest.approx(1 / 3)
    assert evaluate("component_max", without) is None
    assert evaluate(largest, without) == 7
    with pytest.raises(UserError, match="has a second 'rel_l2': that name is taken"):
        metrics.metric_of("bound")(rel_l2)
    assert evaluate("rel_l2", without) == pytest.approx(2.0**-23 * math.sqrt((9 + 64) / 3))


def rel_l2(c: Comparison) -> float:
    """A metric whose name the harness has."""
    return float("nan")


def words(c: Comparison) -> Any:
    """No metric: it returns a word."""
    return "nothing"


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("topk_by_parts.metrics:ulp_medain", r"\(metrics there: ulp_median\); did you mean 'ulp_median'\?"),
        ("topk_by_parts.metrics:Comparison", "is not a metric: it has to be a function of a Comparison"),
        ("topk_by_part.metrics:ulp_median", "ModuleNotFoundError: No module named 'topk_by_part'"),
        (":ulp_median", "cannot import ':ulp_median'"),
    ],
)
@pytest.mark.usefixtures("installed")
def test_an_import_path_that_leads_to_no_metric_is_one_line(path: str, said: str) -> None:
    with pytest.raises(UserError, match=said) as error:
        own_metrics.import_metrics([path])
    assert str(error.value).startswith("metrics: ")
    assert path not in METRICS


def test_a_metric_that_returns_no_number_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    path = f"{__name__}:words"
    found: dict[str, Metric] = {}
    monkeypatch.setattr(own_metrics, "METRICS", found)
    monkeypatch.setattr(metrics, "METRICS", found)
    own_metrics.import_metrics([path])
    with pytest.raises(TypeError, match=f"metric '{path}' has to return a number, not str"):
        found[path](compared([0]))


def test_a_duel_leaves_metrics_of_an_import_path_out() -> None:
    """Nothing is judged by them, and the base may be older than they are."""
    study = parse_study(STUDY, "mine", "mine.toml", known_names())
    assert METRIC in study.comparison.metrics
    assert study.without_own_metrics().comparison.metrics == ("rel_l2", "flips")
    assert study.without_own_metrics().text == STUDY


def test_no_side_of_a_duel_is_asked_for_a_metric_of_an_import_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is it imported: here nobody has its package."""
    asked: list[Sequence[str]] = []

    def answer(request: Reply) -> None:
        if request["op"] == "open":
            asked.append(request["metrics"])

    def worker() -> FakeWorker:
        started = FakeWorker(answer)
        started.greeting["methods"] = ["native", "gather"]
        return started

    in_their_place(monkeypatch, worker)
    monkeypatch.setattr(duels, "this_machine", lambda accelerator="": MACHINE)
    text = f'{SMALL}[precision]\nmetrics = ["rel_l2", "{METRIC}"]\n'
    study = parse_study(text, "small", "small.toml", known_names())
    base = Origin(tmp_path, sys.executable, Revision("none", dirty=False))
    duels.duel(study, base, tmp_path / "results", studies=None, say=lambda _: None)
    assert {tuple(each) for each in asked} == {("rel_l2",)}


@pytest.fixture
def refusal(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """refusal(verb, package=...) -> the one line that the verb ends with in that folder, in this process."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", list(sys.path))

    def call_there(verb: str, package: Path | None = None) -> str:
        if package:
            sys.path.insert(0, str(package))
        try:
            return refused(call(verb, "mine"))
        finally:
            forget()

    return call_there


BROKEN = {
    "1 / 0": "ZeroDivisionError: division by zero",
    "def by_parts(:": "SyntaxError",
    "import no_such_package": "ModuleNotFoundError: No module named 'no_such_package'",
    "raise SystemExit(3)": "SystemExit: 3",
    "from harness.methods.definition import selector\n\n@selector\ndef by_parts(): ...": (
        "@selector is written with parentheses, and settings in them have names: @selector()"
    ),
    "by_parts = 1": "is not a method: decorate it with one of the decorators in harness.methods.definition",
    "": "no such name 'by_parts'",
}


@pytest.mark.parametrize("verb", ["plan", "run"])
def test_where_it_is_not_installed_one_line_says_so(folder: Path, refusal: Callable[..., str], verb: str) -> None:
    line = refusal(verb)
    assert line == f"harness: methods: cannot import '{METHOD}': ModuleNotFoundError: No module named 'topk_by_parts'"
    assert not (folder / "results").exists()


@pytest.mark.parametrize("text", BROKEN)
def test_a_module_that_cannot_be_imported_is_one_line(folder: Path, refusal: Callable[..., str], text: str) -> None:
    (folder / "topk_by_parts").mkdir()
    (folder / "topk_by_parts" / "selection.py").write_text(text)
    line = refusal("plan", package=folder)
    assert METHOD in line
    assert BROKEN[text] in line


def test_a_parameter_that_it_does_not_take_is_one_line(folder: Path, refusal: Callable[..., str]) -> None:
    study = folder / "studies" / "mine.toml"
    study.write_text(STUDY.replace("parts = ", "part = "))
    line = refusal("plan", package=PACKAGE)
    assert line.startswith("harness: mine: unknown parameter 'part' (allowed: ")
    assert line.endswith("did you mean 'parts'?")


def test_a_worker_that_cannot_import_it_says_so_in_a_row() -> None:
    """The interpreter of a worker may be another than that of the command line."""
    with Worker.start() as worker:
        assert worker.ask(opening(Case(n=64, k=4)), 60) == {"status": "ok"}
        reply = worker.ask({"op": "check", "method": METHOD, "measure": []}, 60)
    assert reply["status"] == "unsupported"
    assert reply["reason"] == f"methods: cannot import '{METHOD}': ModuleNotFoundError: No module named 'topk_by_parts'"
