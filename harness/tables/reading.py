"""A run read back from its folder, every table typed and checked."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pandas as pd
import pandera.pandas as pa
from pydantic import ValidationError

from harness.errors import UserError, unknown
from harness.machine import this_machine
from harness.outside_text import restored
from harness.tables.schema import (
    ADDED_COLUMNS,
    COLUMN_TYPES,
    FOLDER_NAME,
    HISTORY_FILE,
    OLDEST_READ,
    SCHEMA_VERSION,
    TABLES,
    VERDICTS_FILE,
    Sidecar,
    column_kinds,
    history_schema,
    schema,
    verdicts_schema,
)
from harness.validation import one_line

EXACT_FLOATS: dict[str, Any] = (
    {"float_precision": "round_trip"} if tuple(map(int, pd.__version__.split(".")[:2])) < (3, 1) else {}
)
"""From pandas 3.1 on every float is read exactly, and asking for it is deprecated."""

BASE, HEAD = "base", "head"
"""The folders of the two sides of a duel."""

BASELINE = "baseline"
"""The folder of the runs that are recorded to be compared with."""

REFERENCE = "reference"
"""The folder of a committed run; those of one's own are named by their time."""

LONGEST_REASON = 300
"""Characters of an error: pandera lists every failing value."""


@dataclass(frozen=True)
class Run:
    """A run as it lies on disk; each table is read and checked when it is first asked for."""

    path: Path
    info: Mapping[str, Any]

    @cached_property
    def cells(self) -> pd.DataFrame:
        return self._read("cells")

    @cached_property
    def timings(self) -> pd.DataFrame:
        return self._read("timings")

    @cached_property
    def memory(self) -> pd.DataFrame:
        return self._read("memory")

    @cached_property
    def discrepancies(self) -> pd.DataFrame:
        return self._read("discrepancies")

    @cached_property
    def facts(self) -> pd.DataFrame:
        return self._read("facts")

    @property
    def name(self) -> str:
        return str(self.info["study"])

    @property
    def part(self) -> str:
        """The machine whose part of a run of several this is, or ''."""
        return ""

    @property
    def figures(self) -> Path:
        """The folder of its figures."""
        return self.path / "figures"

    def check(self) -> None:
        """Read every table; raises UserError for the first that is not what the schema says."""
        for table in TABLES:
            getattr(self, table)

    def _read(self, table: str) -> pd.DataFrame:
        types = {name: COLUMN_TYPES[kind] for name, kind in self.info["parameters"].items()}
        lacking = ADDED_COLUMNS.get(table, ()) if self.info["schema"] < SCHEMA_VERSION else ()
        return read_table(self.path / f"{table}.csv", schema(table, types), lacking)


def read(folder: str | Path) -> Run:
    """The run in a folder. Raises UserError where there is none, or one of a schema that is not known here."""
    path = Path(folder)
    info = read_info(path)
    if info.get("schema") not in range(OLDEST_READ, SCHEMA_VERSION + 1):
        known = f"{OLDEST_READ} to {SCHEMA_VERSION}"
        raise UserError(f"{path / 'run.json'}: schema {info.get('schema')!r}, this version reads {known}")
    try:
        Sidecar.model_validate(info)
    except ValidationError as error:
        raise UserError(f"{path / 'run.json'}: {one_line(error, {'': Sidecar})}") from None
    return Run(path, info)


def read_verdicts(folder: Path) -> pd.DataFrame:
    """The verdicts of a duel's folder. Raises UserError where there are none, or they are not what the schema says."""
    path = folder / VERDICTS_FILE
    if not path.is_file():
        raise UserError(f"{path}: no such file: name the folder of a duel")
    types = {name: COLUMN_TYPES[kind] for name, kind in read(folder / HEAD).info["parameters"].items()}
    return read_table(path, verdicts_schema(types))


def has_verdicts(folder: Path) -> bool:
    """Whether a folder is that of a duel which came to its end."""
    return (folder / VERDICTS_FILE).is_file()


def read_history(path: Path) -> pd.DataFrame:
    """A history, empty where there is none. Raises UserError where it is not what the schema says."""
    return read_table(path, history_schema())


def history_of(results: Path, machine: str | None) -> Path:
    """The history of a machine by its slug, or of this one. Raises UserError where there is none."""
    there = sorted(path.parent.name for path in results.glob(f"*/{HISTORY_FILE}"))
    if machine is not None and machine not in there and there:
        raise unknown(str(results), "machine", machine, there)
    slug = machine or this_machine().slug
    # What reads results does not ask torch for the accelerator, which ends the slug of a machine that has one.
    mine = [each for each in there if each == slug or (machine is None and each.startswith(f"{slug}_"))]
    if not mine:
        raise UserError(
            f"{results / slug / HISTORY_FILE}: no history yet: `harness duel` and `harness compare` add to it"
        )
    if len(mine) > 1:
        raise UserError(f"{results}: several histories of this machine: name one with --machine: {', '.join(mine)}")
    return results / mine[0] / HISTORY_FILE


def read_info(folder: Path) -> dict[str, Any]:
    """run.json of a folder."""
    path = folder / "run.json"
    try:
        info = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not JSON: {error}") from None
    if not isinstance(info, dict):
        raise UserError(f"{path}: not a JSON object")
    return info


def read_table(path: Path, declared: pa.DataFrameSchema, lacking: Sequence[str] = ()) -> pd.DataFrame:
    """A table with the types of its declaration; a missing file is an empty table. Raises UserError.

    lacking: columns that a file of its age does not have; they are read as NaN.
    """
    kinds = column_kinds(declared)
    if not path.exists():
        return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in kinds.items()})
    if _ends_within_a_line(path):  # half a number is a number too
        raise UserError(f"{path}: its last line is cut off")
    numbers = {name: ["nan"] for name, kind in kinds.items() if kind is float}
    try:
        frame = pd.read_csv(
            path, dtype=kinds, keep_default_na=False, na_values=numbers, encoding="utf-8", **EXACT_FLOATS
        )
        frame = frame.assign(**dict.fromkeys(set(lacking) - set(frame), float("nan")))
        if not lacking and (wrong := [name for name, wanted in zip_longest(frame, kinds) if name != wanted]):
            raise ValueError(f"column {wrong[0]!r} is not where the schema has it: {', '.join(kinds)}")
        frame = declared.validate(frame[[*kinds]] if set(frame) == set(kinds) and lacking else frame, inplace=True)
        return _restored(frame, kinds)
    except (pa.errors.SchemaError, pa.errors.SchemaErrors, ValueError, OverflowError, OSError) as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise UserError(f"{path}: {reason[:LONGEST_REASON]}") from None


def _ends_within_a_line(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 1))
            return size > 0 and file.read() != b"\n"
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None


def _restored(frame: pd.DataFrame, kinds: Mapping[str, Any]) -> pd.DataFrame:
    """The table with its text as it was before it was written."""
    for name in (name for name, kind in kinds.items() if kind is str):
        if frame[name].str.startswith("'").any():
            frame[name] = frame[name].map(restored)
    return frame


def newest_run(results: Path, word: str) -> Path:
    """The folder that a word means: a run folder itself, or the newest run of the study of that name.

    A committed `reference` is older than any run of one's own.
    """
    if (Path(word) / "run.json").is_file():
        return Path(word)
    found = sorted(_folders(results, word, "*/run.json"), key=_age)
    if not found:
        names = sorted({path.parent.parent.name for path in results.glob("*/*/*/run.json")})
        raise unknown(str(results), "run", word, names)
    return found[-1]


def newest_result(results: Path, word: str) -> Path:
    """The folder that a word means where a duel is as good as a run: a folder of either, or the newest of the study."""
    if has_verdicts(Path(word)) or (Path(word) / "run.json").is_file():
        return Path(word)
    duels = _folders(results, word, f"*/{VERDICTS_FILE}")
    runs = _folders(results, word, "*/run.json")
    return max(duels + runs, key=_age) if duels else newest_run(results, word)


def baseline_runs(results: Path, word: str) -> list[Path]:
    """The folders that a word means as a base: STUDY/baseline stands for every run recorded as such, else one run."""
    study, _, name = word.partition("/")
    found = sorted(_folders(results, study, f"{BASELINE}/*/run.json")) if name == BASELINE else []
    return found or [newest_run(results, word)]


def _folders(results: Path, study: str, file: str) -> list[Path]:
    """The folders of a study that hold such a file; a word that is no name of a study has none, and is no pattern."""
    return [path.parent for path in results.glob(f"*/{study}/{file}")] if re.fullmatch(FOLDER_NAME, study) else []


def _age(folder: Path) -> tuple[bool, str]:
    return folder.name != REFERENCE, folder.name
