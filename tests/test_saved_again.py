"""Tables, run.json and study files as other programs save them: read as they were, or refused in one line."""

from __future__ import annotations

import codecs
import csv
import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from harness.errors import UserError
from harness.planning.loading import load_study
from harness.study.cells import Case
from harness.tables import Run, RunWriter, parsing, read
from harness.tables.parsing import EXACT_FLOATS
from harness.tables.schema import TABLES, WHOLE, column_kinds, schema
from tests.sidecar import write_info
from tests.table_rows import APPENDED, METHODS, own, rows_of
from tests.test_streams import TINY

FLAGGED = Case(n=4, k=1, parameters=(("flag", True), ("share", 1e5)))
PARAMETERS: dict[str, type] = {"flag": bool, "share": float}
FIGURES = (math.nan, math.inf, -math.inf, 5e-324, 0.1 + 0.2, 1e5)
KINDS = {table: column_kinds(schema(table, PARAMETERS)) for table in TABLES}


def write_run(folder: Path, text: str = 'say "a, b", é') -> Path:
    """A run with a method called null and figures at the ends of their range."""
    folder.mkdir()
    write_info(folder, parameters={name: kind.__name__ for name, kind in PARAMETERS.items()})
    with RunWriter(folder, PARAMETERS) as writer:
        writer.open()
        for launch, value in enumerate(FIGURES, 1):
            writer.commit(rows_of(FLAGGED, launch, value, text))
        key = {"case": FLAGGED.id, "method": "NA"} | FLAGGED.axes
        for table in WHOLE:
            writer.write_whole(table, [key | own(table, value, text, 1) for value in FIGURES])
    return folder


def rewritten(text: str, kinds: dict[str, type], word: Callable[[str, type], str], **style: Any) -> str:
    """A table of which each field is another word, in another style of the module csv."""
    lines = list(csv.reader(io.StringIO(text)))
    buffer = io.StringIO()
    writer = csv.writer(buffer, **({"lineterminator": "\n"} | style))
    writer.writerow(lines[0])
    writer.writerows(
        [word(field, kind) for field, kind in zip(each, kinds.values(), strict=True)] for each in lines[1:]
    )
    return buffer.getvalue()


def by_r(field: str, kind: type) -> str:
    """R knows no integers over 31 bits, and writes a round number in fewer characters."""
    if kind is bool:
        return field.upper()
    if kind is float:
        return {"nan": "NA", "inf": "Inf", "-inf": "-Inf", "100000.0": "1e+05"}.get(field, field)
    return {"4": "4.0"}.get(field, field) if kind is int else field


def by_polars(field: str, kind: type) -> str:
    return {"nan": "NaN", "True": "true", "False": "false"}.get(field, field) if kind is not str else field


def by_nothing(field: str, kind: type) -> str:
    return "" if field == "nan" and kind is float else field


SAVED: dict[str, Callable[[str, dict[str, type]], bytes]] = {
    "R": lambda text, kinds: rewritten(text, kinds, by_r, quoting=csv.QUOTE_NONNUMERIC).encode(),
    "polars": lambda text, kinds: rewritten(text, kinds, by_polars).encode(),
    "DuckDB": lambda text, kinds: rewritten(text, kinds, lambda field, kind: by_polars(field, kind).lower()
        if kind is not str else field).encode(),
    "a spreadsheet": lambda text, kinds: codecs.BOM_UTF8 + rewritten(
        text, kinds, lambda field, kind: by_nothing(field, kind).upper() if kind is bool else by_nothing(field, kind),
        lineterminator="\r\n",
    ).encode(),
    "quotes around everything": lambda text, kinds: rewritten(
        text, kinds, by_nothing, quoting=csv.QUOTE_ALL
    ).encode(),
    "old line ends and spaces": lambda text, kinds: rewritten(
        text, kinds, lambda field, kind: field if kind is str else f" {field} ", lineterminator="\r\n"
    ).encode(),
    "blank lines between": lambda text, kinds: rewritten(text, kinds, by_nothing, lineterminator="\n\n").encode(),
}  # fmt: skip


def assert_same(run: Run, expected: Run) -> None:
    for table in TABLES:
        pd.testing.assert_frame_equal(getattr(run, table), getattr(expected, table), check_exact=True)


@pytest.mark.parametrize("program", SAVED)
def test_a_table_that_was_saved_again_says_the_same(tmp_path: Path, program: str) -> None:
    expected = read(write_run(tmp_path / "expected"))
    folder = write_run(tmp_path / "run")
    for table in TABLES:
        path = folder / f"{table}.csv"
        path.write_bytes(SAVED[program](path.read_text(encoding="utf-8"), KINDS[table]))
    assert_same(read(folder), expected)
    assert set(read(folder).cells["method"]) == set(METHODS)


def by_polars_itself(path: Path) -> None:
    polars = pytest.importorskip("polars")
    polars.read_csv(path, infer_schema_length=None).write_csv(path)


def by_duckdb_itself(path: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    again = path.with_suffix(".again")
    duckdb.sql(f"COPY (FROM '{path}') TO '{again}' (FORMAT csv)")
    again.replace(path)


@pytest.mark.parametrize("save", [by_polars_itself, by_duckdb_itself])
def test_a_table_that_the_program_itself_saved_again_is_the_same(tmp_path: Path, save: Callable[[Path], None]) -> None:
    """`make test-versions` has these programs."""
    expected = read(write_run(tmp_path / "expected"))
    folder = write_run(tmp_path / "run")
    for table in TABLES:
        save(folder / f"{table}.csv")
    assert (folder / "cells.csv").read_bytes() != (tmp_path / "expected" / "cells.csv").read_bytes()
    assert_same(read(folder), expected)


def test_what_pandas_saves_again_is_the_same_but_for_a_method_that_it_takes_for_nothing(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", "why")
    run = read(folder)
    run.check()
    for table in APPENDED:
        path = folder / f"{table}.csv"
        nothing = {"value": ["nan"], "peak_bytes": ["nan"]}
        pd.read_csv(path, keep_default_na=False, na_values=nothing, **EXACT_FLOATS).to_csv(path, index=False)
    assert_same(read(folder), run)
    path = folder / "cells.csv"
    pd.read_csv(path).to_csv(path, index=False)
    with pytest.raises(UserError, match=r"cells\.csv: line 3, column 'method': '' is not allowed: whoever saved"):
        read(folder).check()


BAD: dict[str, tuple[str, str, str, str]] = {
    "decimal comma": ("timings", ",7,0.1", ',7,"0,1"', "'0,1' is not a number"),
    "thousands": ("cells", str(2**53 + 1), '"9,007"', "'9,007' is not a whole number"),
    "digits lost": ("cells", str(2**53 + 1), "9.0072E+12", "'9.0072E+12' is not a whole number"),
    "a fraction of a block": ("timings", ",0,1,7,", ",0,1,7.5,", "'7.5' is not a whole number"),
    "a date": ("timings", ",0,1,7,", ",0,1,07-Jan,", "'07-Jan' is not a whole number"),
    "a truth for a number": ("timings", ",0,1,7,", ",0,1,TRUE,", "'TRUE' is not a whole number"),
    "a number for a truth": ("cells", ",True,", ",2,", "'2' is not true or false"),
    "digits of another script": ("timings", ",0,1,7,", ",0,1,٧,", "is not a whole number"),
    "a case that was a number": ("cells", FLAGGED.id, "1.23E+11", "'1.23E+11' is not allowed"),
    "a status of nobody": ("cells", ",ok,", ",fine,", "'fine' is not allowed"),
    "nothing for a count": ("timings", ",0,1,7,", ",0,1,,", "'' is not a whole number"),
    "nothing for a time": ("timings", ",7,0.1", ",7,", "no value"),
}


@pytest.mark.parametrize("bad", BAD)
def test_what_cannot_be_read_is_named_by_line_column_and_value(tmp_path: Path, bad: str) -> None:
    """The last row is changed; then every row, since pandas takes a whole column of True for one of 1."""
    table, old, new, told = BAD[bad]
    folder = write_run(tmp_path / "run")
    path = folder / f"{table}.csv"
    header, *lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    assert old in lines[-1]
    changed = [line.replace(old, new, 1) for line in lines]
    for rows, number in (([*lines[:-1], changed[-1]], len(lines) + 1), (changed, 2)):
        path.write_text("".join([header, *rows]), encoding="utf-8")
        with pytest.raises(UserError) as caught:
            read(folder).check()
        (line,) = str(caught.value).splitlines()
        assert line.startswith(f"{path}: line {number}, column '"), line
        assert told in line, line


def test_the_line_is_that_of_the_file_whatever_its_fields_hold(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    path = folder / "cells.csv"
    first, second, third, *rest = path.read_text(encoding="utf-8").splitlines(keepends=True)
    broken = second.replace(",0.5,", ",0.5,").replace("é", "é\n\n")
    path.write_text("".join([first, "\n", broken, third.replace(",ok,", ",fine,"), *rest]), encoding="utf-8")
    with pytest.raises(UserError, match="line 8, column 'status': 'fine' is not allowed"):
        read(folder).check()


SHAPES: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "UTF-16": (lambda data: data.decode().encode("utf-16"), "UTF-16, not UTF-8"),
    "UTF-16 without a mark": (lambda data: data.decode().encode("utf-16-le"), "UTF-16"),
    "UTF-32": (lambda data: data.decode().encode("utf-32"), "UTF-32, not UTF-8"),
    "Latin-1": (lambda data: data.decode().encode("latin-1"), "not UTF-8: line 2 has byte 0xe9"),
    "semicolons": (lambda data: data.replace(b",", b";"), "separated by ';'"),
    "tabs": (lambda data: data.replace(b",", b"\t"), "separated by a tab"),
    "numbered rows": (lambda data: b"".join(b'"",' + line for line in data.splitlines(keepends=True)), "column "),
    "no end": (lambda data: data[:-1], "cut off"),
    "a field too many": (lambda data: data[:-1] + b",\n", "fields, and the header"),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_table_of_another_shape_is_refused_by_its_cause(tmp_path: Path, shape: str) -> None:
    change, cause = SHAPES[shape]
    folder = write_run(tmp_path / "run")
    path = folder / "cells.csv"
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(UserError) as caught:
        read(folder).check()
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"{path}: ")
    assert cause in line


def test_a_nul_in_a_text_is_no_end_of_it(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    path = folder / "cells.csv"
    path.write_bytes(path.read_bytes().replace("é".encode(), b"a\0b"))
    assert set(read(folder).cells["reason"]) == {'say "a, b", a\0b'}


@pytest.mark.parametrize(
    "encode", [lambda text: codecs.BOM_UTF8 + text.encode(), lambda text: text.replace("\n", "\r\n").encode()]
)
def test_a_study_and_a_run_json_with_a_mark_or_other_line_ends_are_read(
    tmp_path: Path, encode: Callable[[str], bytes]
) -> None:
    plain, study = tmp_path / "plain.toml", tmp_path / "tiny.toml"
    plain.write_text(TINY)
    study.write_bytes(encode(TINY))
    assert load_study(study).text == load_study(plain).text == TINY
    folder = write_run(tmp_path / "run")
    info = folder / "run.json"
    expected = read(folder).info
    info.write_bytes(encode(info.read_text()))
    assert read(folder).info == expected


STUDIES: dict[str, tuple[bytes, str]] = {
    "UTF-16": (TINY.encode("utf-16"), "UTF-16, not UTF-8"),
    "Latin-1": (TINY.replace("Tiny", "é").encode("latin-1"), "not UTF-8: line 2 has byte 0xe9"),
    "NUL": (TINY.replace("n = 64", "n = 6\0").encode(), "control character (U+0000)"),
    "no-break space": (TINY.replace("n = 64", "n =\u00a064").encode(), "no-break space (U+00A0)"),
    "zero-width space": (TINY.replace("n = 64", "n\u200b = 64").encode(), "zero width space (U+200B)"),
    "typographic quotes": (TINY.replace('"Tiny"', "\u201cTiny\u201d").encode(), "left double quotation mark (U+201C)"),
}


@pytest.mark.parametrize("study", STUDIES)
def test_a_study_that_cannot_be_read_is_one_line_that_names_the_cause(tmp_path: Path, study: str) -> None:
    data, cause = STUDIES[study]
    path = tmp_path / "tiny.toml"
    path.write_bytes(data)
    with pytest.raises(UserError) as caught:
        load_study(path)
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"{path}: ")
    assert cause in line
    info = write_run(tmp_path / "run") / "run.json"
    info.write_bytes(info.read_text().encode("utf-16"))
    with pytest.raises(UserError, match="UTF-16, not UTF-8"):
        read(info.parent)


def test_a_rounded_number_is_found_across_two_of_the_pieces_that_are_looked_through(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table = b"n\n123456\n1.2346E+05\n"
    for size in range(4, len(table)):
        monkeypatch.setattr(parsing, "CHUNK_BYTES", size)
        with pytest.raises(ValueError, match=r"line 3, column 'n': '1.2346E\+05' is not a whole number"):
            parsing.parse(io.BytesIO(table), {"n": int})
