"""Turns pytest's tests and failures and the imported modules into plain values that the parent can read as JSON."""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from harness.worker.installed import is_installed

PLAIN = (bool, int, float, str, type(None))

LONGEST_VALUE = 100
"""Longer parameter values are replaced by a name, because a value stands in every row of the tables."""


def parameters_of(item: pytest.Item) -> dict[str, str]:
    """name -> value of the parameters of a test, as text that is the same in every process.

    A value that is not PLAIN, or long, is represented by its `__name__`, or else by the name of its parameter and its
    place among the values.
    """
    callspec = getattr(item, "callspec", None)
    if callspec is None:
        return {}
    places = getattr(callspec, "indices", {})
    return {name: _value(name, value, places.get(name, "")) for name, value in callspec.params.items()}


def _value(name: str, value: Any, place: object) -> str:
    if isinstance(value, PLAIN) and len(text := str(value)) <= LONGEST_VALUE:
        return text
    own = getattr(value, "__name__", None)
    return own if isinstance(own, str) else f"{name}{place}"


def failure_reason(report: pytest.CollectReport | pytest.TestReport) -> str:
    """Why a test or a module failed or was skipped, in one line."""
    longrepr: Any = report.longrepr
    if isinstance(longrepr, tuple):  # a skip: file, line, reason
        return str(longrepr[2]).removeprefix("Skipped: ")
    crash = getattr(longrepr, "reprcrash", None)
    if getattr(report, "wasxfail", ""):
        return f"it is expected to fail: {report.wasxfail}"
    missing = getattr(longrepr, "errorstring", None)  # a fixture that does not exist
    text = crash.message if crash is not None else missing or str(longrepr)
    lines = [line.removeprefix("E").strip() for line in str(text).splitlines() if line.strip()]
    if crash is not None or missing:
        return lines[0] if lines else ""
    return next((line for line in reversed(lines) if "Error" in line), lines[-1] if lines else "")


def imported() -> dict[str, Any]:
    """The imported modules and packages.

    modules: name -> file of every module that belongs neither to the interpreter nor to an installed distribution;
    packages: installed distribution of any imported module -> its version.
    """
    # Some modules of torch (torch.ops) name a file that does not exist, by a relative path: they are left out below.
    files = {name: str(getattr(module, "__file__", None) or "") for name, module in list(sys.modules.items())}
    known = metadata.packages_distributions()
    names = {name for module in files for name in known.get(module.partition(".")[0], ())}
    return {
        "modules": {
            name: file
            for name, file in sorted(files.items())
            if Path(file).is_absolute() and not is_installed(Path(file))
        },
        "packages": {name: metadata.version(name) for name in sorted(names)},
    }
