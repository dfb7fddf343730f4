"""What only a duel of a pytest suite says in an export."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.tables import PARAMETER


def id_and_parameters(row: Mapping[Any, Any]) -> dict[str, Any]:
    """A test as JSON has it: its id, and those of the suite's parameters that it has."""
    return {"test": row["test"], "parameters": parameters(row)}


def parameters(row: Mapping[Any, Any]) -> dict[str, str]:
    """name -> value, as text."""
    told = {str(name).removeprefix(PARAMETER): value for name, value in row.items() if str(name).startswith(PARAMETER)}
    return {name: value for name, value in told.items() if value != ""}


def entry(row: Mapping[Any, Any], launches: int) -> dict[str, Any]:
    """What pytest-benchmark says of a test beside its statistics: under the same names as in a file of its own, so that
    `pytest-benchmark compare` finds the two together."""
    test = str(row["test"])
    function, _, own = test.rpartition("::")[2].partition("[")
    return {
        "group": None,
        "name": test.rpartition("::")[2],
        "fullname": test,
        "params": parameters(row) or None,
        "param": own.removesuffix("]") or None,
        "extra_info": {"function": function, "launches": launches},
    }
