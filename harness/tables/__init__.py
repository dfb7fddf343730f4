"""Tidy tables and one sidecar: what is written, how it survives, how it is read back."""

from harness.tables.reading import Run, newest_run, read
from harness.tables.schema import SCHEMA_VERSION, Row, parameter_types
from harness.tables.writing import RunWriter, recover, replace_text

__all__ = [
    "SCHEMA_VERSION",
    "Row",
    "Run",
    "RunWriter",
    "newest_run",
    "parameter_types",
    "read",
    "recover",
    "replace_text",
]
