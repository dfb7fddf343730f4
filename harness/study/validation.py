"""Turns pydantic's errors into one line: where, the wrong word, what is allowed."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from harness.errors import shortened, unknown
from harness.study.values import BY_DEVICE, FOR_ALL

NO_KEYS = (FOR_ALL, BY_DEVICE, "[key]")
"""Parts of the path of an error that are pydantic's own and no keys of the file: the tag of a union, '[key]'."""

Models = Mapping[str, type[BaseModel]]


def one_line(error: ValidationError, models: Models) -> str:
    """The first error, and how many more there are.

    models: table -> its model; '' is the top level, 'name.*' stands for every table inside the table `name`.
    """
    # A misspelt key is reported as an unknown key and a missing one: the misspelling is what the person must see.
    details = sorted(error.errors(include_url=False), key=lambda detail: detail["type"] != "extra_forbidden")
    more = f" (and {len(details) - 1} more)" if len(details) > 1 else ""
    return _describe(details[0], models) + more


def _describe(detail: ErrorDetails, models: Models) -> str:
    path = [str(part) for part in detail["loc"] if part not in NO_KEYS]
    where = shortened(".".join(path)) or "the file"
    if detail["type"] == "extra_forbidden":
        table = ".".join(path[:-1])
        model = models[table] if table in models else models[f"{path[0]}.*"]
        return str(unknown(table or "the file", "key", path[-1], model.model_fields))
    if detail["type"] == "literal_error":
        expected = re.findall(r"'([^']*)'", str(detail.get("ctx", {}).get("expected", "")))
        return str(unknown(where, "word", detail["input"], expected))
    if detail["type"] == "missing":
        return f"{where}: this key is required"
    return f"{where}: {detail['msg'].removeprefix('Value error, ')}, got {shortened(repr(detail['input']))}"
