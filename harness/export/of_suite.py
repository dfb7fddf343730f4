"""The parts of an export that only a duel of a pytest suite has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.tables import PARAMETER, function_and_parameters


def id_and_parameters(row: Mapping[Any, Any]) -> dict[str, Any]:
    """The keys that name a test in JSON: its id, and the values of its parameters."""
    return {"test": row["test"], "parameters": parameters(row)}


def parameters(row: Mapping[Any, Any]) -> dict[str, str]:
    """name -> value as text, of those parameters of the suite that this test has."""
    every = {str(name).removeprefix(PARAMETER): value for name, value in row.items() if str(name).startswith(PARAMETER)}
    return {name: value for name, value in every.items() if value != ""}


def entry(row: Mapping[Any, Any], launches: int) -> dict[str, Any]:
    """The fields of a benchmark beside its statistics, for one test of a suite. They are named as pytest-benchmark
    itself names them, so that `pytest-benchmark compare` matches this entry with one of its own."""
    test = str(row["test"])
    function, own = function_and_parameters(test)
    return {
        "group": None,
        "name": function + own,
        "fullname": test,
        "params": parameters(row) or None,
        "param": own[1:-1] or None,
        "extra_info": {"function": function, "launches": launches},
    }
