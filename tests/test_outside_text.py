"""Text of others in tables and messages: no formula to a spreadsheet, no order to a terminal, and had back."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.outside_text import FORMULA, neutral, printable, restored
from harness.tables import HEAD, RunWriter, append_history, read, read_history, read_verdicts, recover, write_verdicts
from tests.sidecar import write_info
from tests.table_rows import CASES, METHODS, history_of, rows_of, verdicts_of

FORMULAS = [
    "=1+1",
    "+1+1",
    "-1+1",
    "@SUM(A1)",
    "\t=1",
    '=HYPERLINK("http://x","y")',
    "-2+3+cmd|' /C calc'!A0",
    "\uff1d1",
    "-",
    "-x",
]
NUMBERS = ["-1.5", "-inf", "+1", "-1e-300", "1", "nan", "-nan", "-.5"]


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_of_a_table_is_a_formula_and_each_is_read_back_as_it_was(tmp_path: Path, text: str) -> None:
    run, judged, history = tmp_path / "run", tmp_path / "duel", tmp_path / "history.csv"
    run.mkdir()
    write_info(run)
    key = {"case": CASES[0].id, "method": text} | CASES[0].axes
    with RunWriter(run, {}) as writer:
        writer.open()
        writer.commit(rows_of(CASES[0], 1, text=text))
        writer.write_whole("facts", [key | {"fact": text, "item": text, "value": -1.5, "detail": text}])
    verdicts = verdicts_of(text)
    judged.mkdir()
    write_verdicts(judged, verdicts, {})
    append_history(history, history_of(verdicts, text))
    for path in (*run.glob("*.csv"), judged / "verdicts.csv", history):
        cells = [cell for row in csv.reader(io.StringIO(path.read_text("utf-8"), newline="")) for cell in row]
        assert [cell for cell in cells if re.match(FORMULA, cell) and not is_number(cell)] == []
    back = read(run)
    back.check()
    assert back.facts.iloc[0][["fact", "item", "detail", "method", "value"]].tolist() == [text, text, text, text, -1.5]
    assert set(back.cells["reason"]) == {text}
    (judged / HEAD).mkdir()
    write_info(judged / HEAD)
    assert read_verdicts(judged)["reason"].tolist() == [text]
    assert read_history(history)[["head_commit", "torch", "begin"]].iloc[0].tolist() == [text] * 3
    assert recover(run, {CASES[0].id: len(METHODS)}) == {(1, CASES[0].id)}


def is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("text", NUMBERS)
def test_a_number_stays_one(text: str) -> None:
    assert neutral(text) == text


@given(st.text() | st.from_regex(rf"'*{FORMULA}.*"))
def test_neutral_text_is_no_formula_and_the_text_can_be_had_back(text: str) -> None:
    cell = neutral(text)
    assert restored(cell) == text
    assert not re.match(FORMULA, cell) or is_number(cell)


def test_a_long_row_of_digits_is_no_work() -> None:
    """Its square would be a day."""
    assert neutral(f"-{'1' * 1_000_000}x")[:2] == "'-"


@given(st.text())
def test_printable_text_is_printable_and_what_was_so_stays(text: str) -> None:
    assert printable(text).isprintable()
    assert printable(text) == text or not text.isprintable()
