"""Tables: what is written is read back to the bit, what was not committed is cut off, what is damaged is refused."""

from __future__ import annotations

import gc
import json
import math
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from harness.errors import UserError
from harness.study.cells import Case
from harness.tables import SCHEMA_VERSION, Row, RunWriter, newest_run, parameter_types, read, recover
from harness.tables.schema import OLDEST_READ, TABLES, WHOLE, added_since, column_kinds, schema
from tests.sidecar import SIDECAR, write_info
from tests.table_rows import APPENDED, CASES, METHODS, own, rows_of

SUBNORMAL = 5e-324


def contents(folder: Path) -> dict[str, bytes]:
    return {table: path.read_bytes() if (path := folder / f"{table}.csv").exists() else b"" for table in APPENDED}


def same(one: object, other: object) -> bool:
    return one == other or (isinstance(one, float) and math.isnan(one) and math.isnan(float(str(other))))


NASTY = st.sampled_from(
    ["null", "nan", "None", "NA", "", "N/A", "-inf", "1e5", 'a,"b",', "'", '"', "é ẞ 𝕎ᵀ", " x ", "\\"]
)
TEXTS = NASTY | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0"))


@settings(max_examples=30)
@given(st.floats(), TEXTS)
@example(SUBNORMAL, "null")
@example(0.1 + 0.2, "NA")
@example(1.7976931348623157e308, 'say "a,b"')
@example(-math.inf, "")
@example(math.nan, "None")
def test_every_table_is_read_back_as_it_was_written(value: float, text: str) -> None:
    written = rows_of(CASES[0], 1, value, text)
    key = {"case": CASES[0].id, "method": text or "x"} | CASES[0].axes
    whole = {table: [key | own(table, value, text, 1)] for table in WHOLE}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_info(folder)
        with RunWriter(folder, {}) as writer:
            writer.open()
            writer.commit(written)
            for table, own_rows in whole.items():
                writer.write_whole(table, own_rows)
        run = read(folder)
        run.check()
        for table, rows in (written | whole).items():
            frame = getattr(run, table)
            assert list(frame.columns) == list(rows[0])
            for back, row in zip(frame.to_dict("records"), rows, strict=True):
                assert all(same(back[name], row[name]) for name in row), (table, back)


@pytest.mark.parametrize("text", ["a\nb", "a\rb", "a\r\nb", "\r", "\n", "a\n", 'a"\r"b'])
def test_a_row_is_a_line_whatever_its_fields_hold(tmp_path: Path, text: str) -> None:
    write_info(tmp_path)
    with RunWriter(tmp_path, {}) as writer:
        writer.open()
        writer.commit(rows_of(CASES[0], 1, text=text))
    assert {len(table.splitlines()) for table in contents(tmp_path).values()} == {1 + len(METHODS)}
    run = read(tmp_path)
    run.check()
    assert all(reason.split() == text.split() for reason in run.cells["reason"])
    assert recover(tmp_path, {CASES[0].id: len(METHODS)}) == {(1, CASES[0].id)}


def test_no_table_holds_a_nul_which_ends_the_text_for_some_who_read_it(tmp_path: Path) -> None:
    write_info(tmp_path)
    with RunWriter(tmp_path, {}) as writer:
        writer.open()
        writer.commit(rows_of(CASES[0], 1, text="a\0b"))
    assert not any(b"\0" in table for table in contents(tmp_path).values())
    assert set(read(tmp_path).cells["reason"]) == {r"a\x00b"}


def test_a_lone_surrogate_does_not_stop_a_run(tmp_path: Path) -> None:
    """A message can hold a byte that was no text."""
    write_info(tmp_path)
    with RunWriter(tmp_path, {}) as writer:
        writer.open()
        writer.commit(rows_of(CASES[0], 1, text="a\udcffb"))
    assert len(read(tmp_path).cells) == len(METHODS)


def test_the_writer_coerces_by_the_schema(tmp_path: Path) -> None:
    write_info(tmp_path)
    rows = rows_of(CASES[0], 1)
    memory = [dict(row) | {"peak_bytes": 4096, "min_bytes": 16.0, "n": "4"} for row in rows["memory"]]
    with RunWriter(tmp_path, {}) as writer:
        writer.open()
        writer.commit(rows | {"memory": memory})
        writer.write_whole(
            "facts", [{"case": CASES[0].id, "method": "x"} | CASES[0].axes | {"fact": "f", "item": 1, "value": 2}]
        )
    line = (tmp_path / "memory.csv").read_text().splitlines()[1]
    assert line.endswith(",16,4096.0")
    back = read(tmp_path).memory.iloc[0]
    assert (back["peak_bytes"], back["min_bytes"], back["n"]) == (4096.0, 16, 4)
    fact = read(tmp_path).facts.iloc[0]
    assert (fact["item"], fact["value"], fact["detail"]) == ("1", 2.0, "")


PARAMETERS: dict[str, list[Any]] = {
    "flag": [True, False],
    "count": [1, 2],
    "share": [0.5, 2],
    "word": ["nan", "2"],
    "mixed": [1, "x"],
}


def test_columns_of_parameters_have_the_type_of_their_values(tmp_path: Path) -> None:
    kinds = parameter_types(PARAMETERS)
    assert kinds == {"flag": bool, "count": int, "share": float, "word": str, "mixed": str}
    write_info(tmp_path, parameters={name: kind.__name__ for name, kind in kinds.items()})
    with RunWriter(tmp_path, kinds) as writer:
        writer.open()
        for place in (0, 1):
            chosen = tuple((name, values[place]) for name, values in PARAMETERS.items())
            writer.commit(rows_of(Case(n=4, k=1, parameters=chosen), 1))
    run = read(tmp_path)
    run.check()
    back = run.cells.drop_duplicates("case")
    assert list(back.columns)[13:18] == list(PARAMETERS)
    expected = PARAMETERS | {"share": [0.5, 2.0], "mixed": ["1", "x"]}
    assert {name: back[name].tolist() for name in PARAMETERS} == expected
    assert [back[name].dtype.kind for name in ("flag", "count", "share")] == ["b", "i", "f"]


def test_rows_of_one_case_that_differ_in_a_parameter_are_refused(tmp_path: Path) -> None:
    write_info(tmp_path, parameters={"share": "float"})
    with RunWriter(tmp_path, {"share": float}) as writer:
        writer.open()
        writer.commit(rows_of(Case(n=4, k=1, parameters=(("share", 0.5),)), 1))
    read(tmp_path).check()
    table = tmp_path / "cells.csv"
    table.write_text(table.read_text().replace(",0.5,", ",0.25,", 1))
    with pytest.raises(UserError, match=r"cells\.csv: rows of one case differ in an axis"):
        read(tmp_path).check()


def test_a_missing_table_is_an_empty_one_with_its_columns(tmp_path: Path) -> None:
    write_info(tmp_path)
    run = read(tmp_path)
    run.check()
    for table in TABLES:
        assert getattr(run, table).empty
        assert list(getattr(run, table).columns) == list(column_kinds(schema(table)))


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A run of two cases and two launches."""
    write_info(tmp_path)
    with RunWriter(tmp_path, {}) as writer:
        writer.open()
        for launch in (1, 2):
            for case in CASES:
                writer.commit(rows_of(case, launch))
    return tmp_path


@pytest.mark.parametrize("saved", ["as written", "without a row", "with whole numbers as floats"])
def test_a_table_that_is_read_has_the_types_that_are_declared(written: Path, saved: str) -> None:
    """They are those of the parser, of pandas or line by line: what is checked after it are rules beyond the types."""
    for table in APPENDED:
        path = written / f"{table}.csv"
        text = pd.read_csv(path, dtype=str, keep_default_na=False)
        if saved == "without a row":
            text = text.head(0)
        elif saved == "with whole numbers as floats":
            text["n"] += ".0"
        text.to_csv(path, index=False)
    run = read(written)
    for table in APPENDED:
        frame = getattr(run, table)
        assert frame.empty == (saved == "without a row")
        schema(table).validate(frame)


DAMAGE: dict[str, Callable[[str], str]] = {
    "unknown status": lambda text: text.replace(",ok,", ",fine,"),
    "number is a word": lambda text: text.replace(",1,ok", ",one,ok"),
    "number is missing": lambda text: text.replace(",1,ok", ",,ok"),
    "number is over 64 bits": lambda text: text.replace(str(2**53 + 1), "9" * 30),
    "launch 0": lambda text: text.replace(",1,ok", ",0,ok"),
    "wall is nan": lambda text: text.replace(",0.25,0.25\n", ",nan,0.25\n"),
    "case is no digest": lambda text: text.replace(CASES[0].id, "x"),
    "no method": lambda text: text.replace(f",{METHODS[0]},", ",,"),
    "columns swapped": lambda text: text.replace("reason,machine", "machine,reason"),
    "column renamed": lambda text: text.replace("reason", "reasons", 1),
    "column too many": lambda text: text.replace("\n", ",x\n"),
    "column too few": lambda text: "\n".join(line.rpartition(",")[0] for line in text.splitlines()) + "\n",
    "cut": lambda text: text[:-20],
    "open quote": lambda text: text + '"',
    "empty": lambda text: "",
    "binary": lambda text: "\0\1\2",
    "long line": lambda text: text + "," * 100 + "\n",
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_table_is_refused_in_one_line_that_names_it(written: Path, damage: str) -> None:
    path = written / "cells.csv"
    text = path.read_text()
    path.write_text(DAMAGE[damage](text))
    assert path.read_text() != text
    assert_refused(written, "cells.csv")


def test_a_table_that_is_no_text_is_refused(written: Path) -> None:
    (written / "memory.csv").write_bytes(b"\xff\xfe")
    assert_refused(written, "memory.csv")


@pytest.mark.parametrize("version", range(OLDEST_READ, SCHEMA_VERSION))
def test_a_run_of_an_earlier_version_is_read_with_the_columns_that_it_lacks(tmp_path: Path, version: int) -> None:
    """Its times are of the wall clock, its figures of the first launch; its device_seconds is no time of the device."""
    with RunWriter(tmp_path, {}) as writer:
        writer.open()
        writer.commit(rows_of(CASES[0], 1))
    for table in APPENDED:
        path = tmp_path / f"{table}.csv"
        frame = pd.read_csv(path, dtype=str, keep_default_na=False).drop(columns=[*added_since(version, table)])
        if (table, version) == ("timings", 3):
            frame = frame.assign(device_seconds="0.05")
        frame.to_csv(path, index=False)
    write_info(tmp_path, schema=version)
    run = read(tmp_path)
    assert math.isnan(run.cells["compile_seconds"].max()) == (version < 3)
    assert set(run.timings["clock"]) == {"wall"}
    assert set(run.timings["seconds"]) == {0.1}
    assert set(run.discrepancies["launch"]) == {1}
    for table in APPENDED:
        assert list(getattr(run, table)) == list(schema(table, {}).columns)
    write_info(tmp_path)
    with pytest.raises(UserError, match="it has no column '"):
        read(tmp_path).check()


@pytest.mark.parametrize("version", range(OLDEST_READ, SCHEMA_VERSION + 1))
def test_a_column_that_no_version_has_is_refused_in_one_line(tmp_path: Path, version: int) -> None:
    with RunWriter(tmp_path, {}) as writer:
        writer.open()
    write_info(tmp_path, schema=version)
    path = tmp_path / "timings.csv"
    path.write_text(path.read_text().replace("seconds", "seconds,strange"))
    with pytest.raises(UserError, match=r"timings\.csv: column 'strange' is not in the schema"):
        read(tmp_path).check()


def test_a_column_that_a_version_had_is_not_read_without(tmp_path: Path) -> None:
    """Version 3 wrote compile_seconds: where it is gone the file is damaged, not old."""
    with RunWriter(tmp_path, {}) as writer:
        writer.open()
        writer.commit(rows_of(CASES[0], 1))
    path = tmp_path / "cells.csv"
    pd.read_csv(path, dtype=str, keep_default_na=False).drop(columns=["compile_seconds"]).to_csv(path, index=False)
    write_info(tmp_path, schema=3)
    with pytest.raises(UserError, match="compile_seconds"):
        read(tmp_path).check()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "No such file"),
        (b"{", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[1]", "not a JSON object"),
        (b"{}", "schema None"),
        (b'{"schema": 99}', f"schema 99, this version reads 2 to {SCHEMA_VERSION}"),
        (b'{"schema": "1"}', "schema '1'"),
        (b'{"schema": 2}', "study: this key is required"),
        (json.dumps({k: v for k, v in SIDECAR.items() if k != "end"}).encode(), "end: this key is required"),
        (json.dumps(SIDECAR | {"parameters": 3}).encode(), "parameters"),
        (json.dumps(SIDECAR | {"parameters": {"decimals": "complex"}}).encode(), "complex"),
        (json.dumps(SIDECAR | {"machine": {}}).encode(), "machine.slug: this key is required"),
    ],
)
def test_a_damaged_sidecar_is_refused_in_one_line_that_names_it(
    written: Path, content: bytes | None, reason: str
) -> None:
    path = written / "run.json"
    path.unlink() if content is None else path.write_bytes(content)
    assert reason in assert_refused(written, "run.json")


def assert_refused(folder: Path, file: str) -> str:
    with pytest.raises(UserError) as caught:
        read(folder).check()
    message = str(caught.value)
    assert message.startswith(f"{folder / file}: ")
    assert message.splitlines() == [message]
    return message


def in_order_of_writing(folder: Path) -> list[tuple[str, bytes]]:
    """The lines of the tables as a writer appends them: the log last, for each (case, launch)."""
    lines = {table: data.splitlines(keepends=True) for table, data in contents(folder).items()}
    order = [(table, lines[table].pop(0)) for table in ("cells", *APPENDED[:-1])]
    for launch in (1, 2):
        for case in CASES:
            for table, rows in rows_of(case, launch).items():
                order += [(table, lines[table].pop(0)) for _ in rows]
    assert not any(lines.values())
    return order


def test_the_log_is_written_last(tmp_path: Path) -> None:
    """Each table is asked for its rows when those before it are on disk."""
    rows = rows_of(CASES[0], 1)
    asked: list[str] = []

    def watched(table: str) -> Iterator[Row]:
        on_disk = contents(tmp_path)
        assert all(len(on_disk[each].splitlines()) == 1 + len(METHODS) for each in asked)
        assert len(on_disk[table].splitlines()) == 1
        asked.append(table)
        yield from rows[table]

    with RunWriter(tmp_path, {}) as writer:
        writer.open()
        writer.commit({table: watched(table) for table in APPENDED})
    assert sorted(asked) == sorted(APPENDED)
    assert asked[-1] == "cells"


PLANNED = {case.id: len(METHODS) for case in CASES}
KEYS = [(launch, case.id) for launch in (1, 2) for case in CASES]


def test_killed_at_any_byte_what_was_not_committed_is_cut_and_the_rest_can_be_added(
    written: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    whole = contents(written)
    order = in_order_of_writing(written)
    folder = tmp_path_factory.mktemp("killed")
    recovered: dict[tuple[bytes, ...], int] = {}
    on_disk = dict.fromkeys(APPENDED, b"")
    committed = 0
    kept = dict(on_disk)
    for number, (table, line) in enumerate(order):
        for cut in range(len(line)):
            for name, data in on_disk.items():
                (folder / f"{name}.csv").write_bytes(data + line[:cut] * (name == table))
            assert recover(folder, PLANNED) == set(KEYS[:committed]), (number, cut)
            after = contents(folder)
            assert after == kept, (number, cut)
            recovered[tuple(after.values())] = committed
        on_disk[table] += line
        if number < len(APPENDED):
            kept[table] = line
        elif table == "cells" and on_disk["cells"].count(b"\n") == 1 + len(METHODS) * (committed + 1):
            committed += 1
            kept = dict(on_disk)
    assert (committed, kept) == (len(KEYS), whole)
    for state, done in recovered.items():
        for name, data in zip(APPENDED, state, strict=True):
            (folder / f"{name}.csv").write_bytes(data)
        with RunWriter(folder, {}) as writer:
            writer.open()
            for launch in (1, 2):
                for case in CASES:
                    if (launch, case.id) not in KEYS[:done]:
                        writer.commit(rows_of(case, launch))
        assert contents(folder) == whole


def test_recovering_a_whole_run_changes_nothing(written: Path) -> None:
    whole = contents(written)
    assert recover(written, PLANNED) == set(KEYS)
    assert contents(written) == whole
    assert recover(written / "nowhere", PLANNED) == set()


def test_a_second_writer_is_refused_until_the_first_has_ended(tmp_path: Path) -> None:
    with RunWriter(tmp_path, {}), pytest.raises(UserError, match="another run is writing here") as caught:
        RunWriter(tmp_path, {})
    assert str(caught.value).startswith(f"{tmp_path}: ")
    del caught
    gc.collect()  # a file that was left open is told here, not in a later test
    with RunWriter(tmp_path, {}) as writer:
        writer.open()
    assert not (tmp_path / ".lock").exists()


def test_the_newest_run_is_by_its_stamp_and_a_reference_is_older_than_any(tmp_path: Path) -> None:
    def make(*parts: str) -> Path:
        folder = tmp_path.joinpath(*parts)
        folder.mkdir(parents=True)
        (folder / "run.json").write_text("{}")
        return folder

    reference = make("machine_a", "speed", "reference")
    assert newest_run(tmp_path, "speed") == reference
    make("machine_z", "speed", "20250101T000000Z_aaaaaaaa")
    newest = make("machine_a", "speed", "20260101T000000Z_00000000-dirty")
    make("machine_a", "precision", "20270101T000000Z_00000000")
    assert newest_run(tmp_path, "speed") == newest
    assert newest_run(tmp_path, str(reference)) == reference
    with pytest.raises(UserError) as caught:
        newest_run(tmp_path, "sped")
    assert str(caught.value) == f"{tmp_path}: unknown run 'sped' (allowed: precision, speed); did you mean 'speed'?"
