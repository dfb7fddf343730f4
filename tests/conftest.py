"""What several test files share: one small run, measured once, and studies written for a test."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

import harness
from harness.git import forget_repository
from harness.study import Study
from harness.tables import Run
from tests.bisected import start as start

settings.register_profile("harness", deadline=None, max_examples=50, database=None)
settings.load_profile("harness")

forget_repository()  # the tests may be the hook of somebody's commit, and some of them commit in folders of their own


LONGEST = ("test_readme.py", "test_studies.py", "test_results.py", "test_compile.py")
"""What takes longest begins first, so that several processes end together."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name not in LONGEST)


MEASURED = "MEASURED_RUN"
"""The variable that names a run of `smoke`, which is read instead of measuring another: `tests.versions` sets it."""


@pytest.fixture(scope="session")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The study `smoke`, measured: its results folder is three levels above its path."""
    if MEASURED in os.environ:
        measured, results = Path(os.environ[MEASURED]), tmp_path_factory.mktemp("results")
        return harness.read(shutil.copytree(measured, results.joinpath(*measured.parts[-3:])))
    study = harness.load_study("studies/smoke.toml")
    return harness.run(study, tmp_path_factory.mktemp("results"), say=lambda _: None)


@pytest.fixture
def write_study(tmp_path: Path) -> Callable[[str], Study]:
    """write_study(toml) -> the study of that text, in a file `trial.toml`."""

    def write(text: str) -> Study:
        path = tmp_path / "trial.toml"
        path.write_text(text, encoding="utf-8")
        return harness.load_study(path)

    return write
