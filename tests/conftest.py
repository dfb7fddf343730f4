"""What several test files share: one small run, measured once, and studies written for a test."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import harness
from harness.repository.git import forget_repository
from tests.browsing import browser as browser
from tests.browsing import in_browser as in_browser
from tests.browsing import watched_page as watched_page
from tests.forked import fork_workers

if TYPE_CHECKING:
    from harness.study.definition import Study
    from harness.tables import Run
    from tests.bisected import Start

# Imported late here is what takes long: a duel of tests/benchmarks reads this file in each of its processes.

forget_repository()  # the tests may be the hook of somebody's commit, and some of them commit in folders of their own


LONGEST = (
    "test_readme.py",
    "test_studies.py",
    "test_kernel.py",
    "test_compile.py",
    "test_callgrind.py",
    "test_results.py",
    "test_bisect.py",
    "test_browser.py",
    "test_faults.py",
    "test_checks.py",
    "test_distribute.py",
    "test_interrupt.py",
    "test_answers.py",
    "test_degenerate.py",
    "test_judge.py",
    "test_layers.py",
    "test_wheel.py",
    "test_no_harm.py",
    "test_history_browser.py",
    "test_suite_duel.py",
    "test_methods.py",
    "test_memory.py",
    "test_own_package.py",
)
"""What takes longer than ten seconds begins first, the longest before the others, so that several processes end
together."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.name, len(LONGEST)))


def pytest_pycollect_makemodule(module_path: Path) -> None:
    """Called before a file of tests is imported, and so before Hypothesis has settings for any of its tests."""
    if module_path.parent == Path(__file__).parent:
        _set_hypothesis()


@cache
def _set_hypothesis() -> None:
    from hypothesis import settings

    settings.register_profile("harness", deadline=None, max_examples=50, database=None)
    settings.load_profile("harness")


@pytest.fixture(scope="session", autouse=True)
def _workers_start_in_milliseconds() -> Iterator[None]:
    with fork_workers():
        yield


MEASURED = "MEASURED_RUN"
"""The variable that names a run of `smoke`, which is read instead of measuring another: `tests.versions` sets it."""


SMOKE = ("device=cpu", "dtype=float16,float32", "k=n/16")
"""To which cases `smoke` is narrowed: a dtype in which some methods are refused, and one in which none is."""


@pytest.fixture(scope="session")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A part of the study `smoke`, measured: its results folder is three levels above its path."""
    measured = Path(os.environ[MEASURED]) if MEASURED in os.environ else measured_once(tmp_path_factory)
    results = tmp_path_factory.mktemp("results")
    return harness.read(shutil.copytree(measured, results.joinpath(*measured.parts[-3:])))


def measured_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of `smoke`: of several processes of pytest-xdist the first that wants one measures it."""
    of_all = (
        tmp_path_factory.getbasetemp().parent
        if "PYTEST_XDIST_WORKER" in os.environ
        else tmp_path_factory.mktemp("smoke")
    )
    with (of_all / "smoke.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for sidecar in of_all.glob("smoke/*/smoke/*/run.json"):
            if json.loads(sidecar.read_text(encoding="utf-8"))["end"]:
                return sidecar.parent
        study = harness.load_study("studies/smoke.toml", SMOKE)
        return harness.run(study, of_all / "smoke", say=lambda _: None).path


@pytest.fixture
def write_study(tmp_path: Path) -> Callable[[str], Study]:
    """write_study(toml) -> the study of that text, in a file `trial.toml`."""

    def write(text: str) -> Study:
        path = tmp_path / "trial.toml"
        path.write_text(text, encoding="utf-8")
        return harness.load_study(path)

    return write


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Start:
    """start(commits) -> their names, in a new repository that this process stands in, measured by workers that are no
    processes."""
    from tests.bisected import starting

    return starting(tmp_path, monkeypatch)
