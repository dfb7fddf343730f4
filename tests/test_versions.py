"""What the environments of `make test-versions` are made of."""

from __future__ import annotations

from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.oldest import PYPROJECT, constraints
from tests.versions import ENVIRONMENTS, base_python, requirements


def test_the_oldest_versions_are_constraints_as_pip_takes_them() -> None:
    """It takes none with an extra, such as jax[cuda13]."""
    lines = [Requirement(line) for line in constraints(PYPROJECT.read_text(encoding="utf-8"))]
    assert [each.extras for each in lines] == [set()] * len(lines)
    assert {"pandas", "numpy", "matplotlib", "jax"} <= {each.name for each in lines}
    assert all(each.marker is None and str(each.specifier).startswith("==") for each in lines)


def test_pyarrow_is_in_some_environments_and_torch_is_asked_for_in_none() -> None:
    named = [{Requirement(each).name for each in requirements(environment)} for environment in ENVIRONMENTS]
    assert len(named) >= 4
    assert {"pyarrow" in each for each in named} == {True, False}
    assert not any("torch" in each for each in named)  # it is borrowed: pip could choose another build
    assert {each.borrows for each in ENVIRONMENTS} == {True, False}


def test_every_file_of_tests_that_is_named_is_there() -> None:
    names = {name for each in ENVIRONMENTS for name in each.tests.split()}
    assert [each for each in names if not (Path(__file__).parent / f"test_{each}.py").is_file()] == []


def test_a_python_that_does_not_start_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a shim of pyenv is, whose version is switched off."""
    for name, code in (("python3.13", 127), ("python3.12", 0)):
        (tmp_path / name).write_text(f"#!/bin/sh\nexit {code}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "nowhere"))
    assert base_python(["3.13", "3.12"]) == tmp_path / "python3.12"
    assert base_python(["3.13"]) == base_python([]) != tmp_path / "python3.13"
