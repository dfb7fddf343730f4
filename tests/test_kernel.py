"""The kernels of blockmax_triton where there is no device: interpreted, and compiled for one that is not here.

Without Triton these tests are skipped, unless KERNELS=required.
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def _needs_triton() -> None:
    absent = [name for name in ("triton", "expecttest") if importlib.util.find_spec(name) is None]
    if absent:
        assert os.environ.get("KERNELS") != "required", f"not installed: {', '.join(absent)}"
        pytest.skip(f"not installed: {', '.join(absent)}")


def run(*arguments: str, **environment: str) -> str:
    """What a Python of its own prints, which must end well."""
    command = [sys.executable, "-m", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


INTERPRETED = "interpreted or (blockmax_triton and (says_what or forward_selects))"
"""What runs under Triton's interpreter, in a process of its own: all in that folder, and the kernels as a method."""


def test_interpreted() -> None:
    files = ("tests/interpreted", "tests/test_methods.py")
    printed = run("pytest", "-q", "-p", "no:benchmark", *files, "-k", INTERPRETED, TRITON_INTERPRET="1")
    assert int(re.findall(r"(\d+) passed", printed)[0]) > 80
    assert "skipped" not in printed


def test_compiled_for_a_gpu_that_is_not_here_nothing_spills(tmp_path: Path) -> None:
    """Every kernel for sm_90, at its largest tiles, and with every argument that Triton specialises."""
    lines = run("tests.compiled", TRITON_CACHE_DIR=str(tmp_path)).splitlines()
    assert len(lines) > 10
    for line in lines:
        name, *figures = line.split()
        facts = dict(figure.split("=") for figure in figures)
        assert int(facts["stack"]) == int(facts["local"]) == 0, f"{name} spills: {line}"
        assert int(facts["registers"]) <= 255
        assert int(facts["shared"]) <= 100 << 10, f"{name}: two programs do not fit on a multiprocessor"
