"""What pytest and Python know of tests, failures and packages, as plain values that a parent can read."""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from harness.worker.installed import is_installed

PLAIN = (bool, int, float, str, type(None))

LONGEST_VALUE = 100
"""Characters of a value that is told as it is, since it stands in every row of the tables."""


def parameters_of(item: pytest.Item) -> dict[str, str]:
    """name -> value of the parameters of a test, as text that is the same in every process.

    A value that is no plain one, or a long one, has the name of what it is, or that of its parameter and its place
    among the values.
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
    told: Any = report.longrepr
    if isinstance(told, tuple):  # of a skip: file, line, reason
        return str(told[2]).removeprefix("Skipped: ")
    crash = getattr(told, "reprcrash", None)
    if getattr(report, "wasxfail", ""):
        return f"it is expected to fail: {report.wasxfail}"
    missing = getattr(told, "errorstring", None)  # of a fixture that there is not
    text = crash.message if crash is not None else missing or str(told)
    lines = [line.removeprefix("E").strip() for line in str(text).splitlines() if line.strip()]
    if crash is not None or missing:
        return lines[0] if lines else ""
    return next((line for line in reversed(lines) if "Error" in line), lines[-1] if lines else "")


def imported() -> dict[str, Any]:
    """modules: name -> file of every module that lies neither with the interpreter nor with what is installed for it;
    packages: distribution of any other imported module -> its version."""
    # torch has modules that name a file which there is not
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
