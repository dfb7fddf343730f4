"""Tidy tables and one sidecar: what is written, how it survives, how it is read back."""

from harness.tables.clocks import clock_words, first_clock
from harness.tables.files import COMPRESSED, compressed, replace_bytes, replace_text
from harness.tables.folders import (
    BASELINE,
    REFERENCE,
    baseline_runs,
    has_verdicts,
    history_of,
    newest_result,
    newest_run,
    studies_with_runs,
)
from harness.tables.machines import OnDevice, by_device, by_machine, of_one_machine
from harness.tables.reading import BASE, HEAD, Run, read, read_history, read_verdicts, stored
from harness.tables.recovery import recover
from harness.tables.schema import (
    FOLDER_NAME,
    HISTORY_FILE,
    SCHEMA_VERSION,
    SUITE_FILE,
    TABLES,
    Row,
    history_columns,
    parameter_types,
)
from harness.tables.suites import (
    SUITE_SCHEMA,
    SuiteRun,
    parameter_column,
    read_suite,
    read_suite_verdicts,
    suite_writer,
    write_suite_info,
    write_suite_verdicts,
)
from harness.tables.writing import Busy, RunWriter, append_history, write_sides, write_verdicts

__all__ = [
    "BASE",
    "BASELINE",
    "COMPRESSED",
    "FOLDER_NAME",
    "HEAD",
    "HISTORY_FILE",
    "REFERENCE",
    "SCHEMA_VERSION",
    "SUITE_FILE",
    "SUITE_SCHEMA",
    "TABLES",
    "Busy",
    "OnDevice",
    "Row",
    "Run",
    "RunWriter",
    "SuiteRun",
    "append_history",
    "baseline_runs",
    "by_device",
    "by_machine",
    "clock_words",
    "compressed",
    "first_clock",
    "has_verdicts",
    "history_columns",
    "history_of",
    "newest_result",
    "newest_run",
    "of_one_machine",
    "parameter_column",
    "parameter_types",
    "read",
    "read_history",
    "read_suite",
    "read_suite_verdicts",
    "read_verdicts",
    "recover",
    "replace_bytes",
    "replace_text",
    "stored",
    "studies_with_runs",
    "suite_writer",
    "write_sides",
    "write_suite_info",
    "write_suite_verdicts",
    "write_verdicts",
]
