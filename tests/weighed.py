"""A small package with a pytest suite that has the fixture `benchmark`, in a repository of two commits."""

from __future__ import annotations

from pathlib import Path

from tests.scratch_history import Commit, make_history

MODULE = '''"""Adds numbers up."""


def total(numbers):
    return sum(numbers)
'''
SLOWER = MODULE.replace("return sum(numbers)", "sum(numbers)\n    return sum(numbers)")
NEWER = SLOWER + "\n\ndef newest():\n    return 0\n"

SUITE = """import sys
import types

import pytest

from weighed import total

sys.modules["virtual"] = types.ModuleType("virtual")
sys.modules["virtual"].__file__ = "weighed/virtual.py"  # torch makes such modules, of no file at all


@pytest.mark.parametrize("n", [10, 1000])
def test_total(benchmark, n):
    assert benchmark(total, range(n)) == n * (n - 1) // 2


def test_sorted(benchmark):
    benchmark.pedantic(list.sort, setup=lambda: ((list(range(100, 0, -1)),), {}), rounds=3)


def test_without_the_fixture():
    raise RuntimeError("it is not run")
"""
GONE = "\n\ndef test_gone(benchmark):\n    benchmark(int)\n"
ADDED = "\n\ndef test_added(benchmark):\n    benchmark(total, range(100))\n"
OF_NEWEST = "from weighed import newest\n\n\ndef test_newest(benchmark):\n    benchmark(newest)\n"

FIRST = {
    "weighed/__init__.py": MODULE,
    "bench/test_weighed.py": SUITE + GONE,
    ".gitignore": "results\n",
}
SECOND = {
    "weighed/__init__.py": NEWER,
    "bench/test_weighed.py": SUITE + ADDED,
    "bench/test_newest.py": OF_NEWEST,
}


def weighed(folder: Path, root: str = "") -> list[str]:
    """The repository; its package lies in the folder `root` of it. In the second commit `total` takes twice as long, a
    test has gone, one was added, and one needs what only this commit has."""

    def placed(files: dict[str, str]) -> dict[str, str]:
        return {f"{root}{name}" if name.startswith("weighed/") else name: text for name, text in files.items()}

    return make_history(folder, [Commit(placed(FIRST)), Commit(placed(SECOND))])
