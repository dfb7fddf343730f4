"""A run that is kept: the same tables, large ones compressed, with figures; and what is refused."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner, Result

from harness.cli import cli
from harness.errors import UserError
from harness.report import keep
from harness.tables import TABLES, compressed, newest_run, read
from harness.vocabulary import EXIT_USAGE
from tests.fake_worker import MACHINE, SMALL, in_their_place
from tests.recorded import record

SCRIPT = """
from matplotlib import pyplot as plt

def line(run):
    figure, axis = plt.subplots(figsize=(2, 1))
    axis.plot(run.timings["seconds"])
    return figure

def summary(run):
    yield "Of the times:"
    yield f"{len(run.timings)} blocks."

FIGURES = (line,)
"""


def a_run(tmp_path: Path, **info: Any) -> Path:
    (tmp_path / "recorded.py").write_text(SCRIPT)
    return record(tmp_path / "results" / "here" / "recorded" / "20260101T000000Z_aaaaaaaa", launches=2, **info)


def call(tmp_path: Path, *arguments: object) -> Result:
    folders = ["--studies", str(tmp_path), "--results", str(tmp_path / "results")]
    return CliRunner().invoke(cli, [*map(str, arguments), *folders])


def test_what_is_kept_is_the_run_with_its_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keep, "LARGE", 1000)
    run = a_run(tmp_path)
    result = call(tmp_path, "keep", "recorded")
    reference = run.parent / "reference"
    assert result.stdout.split() == [str(reference)], result.output
    names = {path.name for path in reference.iterdir()}
    large = {table for table in TABLES if (path := run / f"{table}.csv").exists() and path.stat().st_size > 1000}
    assert {"timings", "cells"} <= large < set(TABLES)
    assert names == {"run.json", "figures"} | {
        f"{table}.csv.gz" if table in large else f"{table}.csv" for table in TABLES if (run / f"{table}.csv").exists()
    }
    for table in TABLES:
        pd.testing.assert_frame_equal(getattr(read(reference), table), getattr(read(run), table))
    assert {path.name for path in (reference / "figures").iterdir()} == {"line.png", "line.svg", "summary.md"}
    drawn = (reference / "figures" / "line.svg").read_bytes()
    told = call(tmp_path, "plot", reference).stdout.splitlines()
    assert told[-2:] == ["- Of the times:", f"- {len(read(run).timings)} blocks."]
    assert (reference / "figures" / "line.svg").read_bytes() == drawn


def test_the_same_table_gives_the_same_file() -> None:
    assert compressed(b"case,method\n" * 99) == compressed(b"case,method\n" * 99)


@pytest.mark.parametrize(
    ("info", "word"), [({"end": None}, "end"), ({"dirty": True}, "commit")], ids=["not ended", "dirty"]
)
def test_a_run_that_nobody_could_repeat_is_not_kept(tmp_path: Path, info: dict[str, Any], word: str) -> None:
    run = a_run(tmp_path, **info)
    result = call(tmp_path, "keep", run)
    assert (result.exit_code, len(result.stderr.splitlines())) == (EXIT_USAGE, 1)
    assert str(run) in result.stderr
    assert word in result.stderr
    assert [path.name for path in run.parent.iterdir()] == [run.name]


def test_a_run_that_does_not_say_whether_the_tree_was_dirty_is_kept(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    info = json.loads((run / "run.json").read_text())
    del info["dirty"]
    (run / "run.json").write_text(json.dumps(info))
    result = call(tmp_path, "keep", run)
    assert (result.exit_code, result.stdout.split()) == (0, [str(run.parent / "reference")])


def test_a_reference_is_never_written_over(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    (run.parent / "reference").mkdir()
    (run.parent / "reference" / "mine").write_text("mine")
    assert call(tmp_path, "keep", run).exit_code == EXIT_USAGE
    assert [path.name for path in (run.parent / "reference").iterdir()] == ["mine"]


def test_nothing_is_left_of_a_run_that_could_not_be_kept(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    (tmp_path / "recorded.py").write_text(SCRIPT + "\ndef summary(run): raise KeyError('planted')\n")
    assert call(tmp_path, "keep", run).exit_code == EXIT_USAGE
    assert [path.name for path in run.parent.iterdir()] == [run.name]


def replaced_by(run: Path, table: str, data: bytes) -> None:
    (run / f"{table}.csv").unlink()
    (run / f"{table}.csv.gz").write_bytes(data)


@pytest.mark.parametrize("damage", ["cut", "cut line", "one bit", "no gzip", "empty"])
def test_a_damaged_compressed_table_is_told_by_its_name(tmp_path: Path, damage: str) -> None:
    run = a_run(tmp_path)
    text = (run / "timings.csv").read_bytes()
    whole = compressed(text)
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 4
    damaged = {
        "cut": whole[:-20],
        "cut line": compressed(text[:-5]),
        "one bit": bytes(flipped),
        "no gzip": text,
        "empty": b"",
    }
    replaced_by(run, "timings", whole)
    assert len(read(run).timings) == text.count(b"\n") - 1
    (run / "timings.csv.gz").write_bytes(damaged[damage])
    with pytest.raises(UserError, match=re.escape(f"{run / 'timings.csv.gz'}: ")) as caught:
        _ = read(run).timings
    assert "\n" not in str(caught.value)


def test_of_a_table_and_its_compressed_copy_the_table_is_read(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    (run / "timings.csv.gz").write_bytes(gzip.compress(b"no table\n"))
    assert len(read(run).timings)


def test_plot_without_a_name_draws_the_newest_of_every_study(tmp_path: Path) -> None:
    assert "no run yet" in call(tmp_path, "plot").stderr
    run = a_run(tmp_path)
    assert call(tmp_path, "plot").stdout.splitlines()[0] == str(run / "figures" / "line.png")


def test_a_run_on_another_machine_lands_beside_a_reference_not_over_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_their_place(monkeypatch)
    (tmp_path / "trial.toml").write_text(SMALL)
    kept = record(tmp_path / "results" / "there_2-cores" / "trial" / "reference", launches=2)
    before = {path: path.read_bytes() for path in kept.iterdir()}
    result = call(tmp_path, "run", "trial")
    assert result.exit_code == 0, result.output
    (mine,) = (tmp_path / "results" / MACHINE.slug / "trial").iterdir()
    assert {path: path.read_bytes() for path in kept.iterdir()} == before
    assert newest_run(tmp_path / "results", "trial") == mine
    assert call(tmp_path, "keep", kept).exit_code == EXIT_USAGE


def test_a_run_with_a_damaged_table_is_not_kept_even_where_nothing_is_drawn(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    (tmp_path / "recorded.py").write_text("FIGURES = ()\n")
    (run / "memory.csv").write_text("case,method\n")
    result = call(tmp_path, "keep", run)
    assert (result.exit_code, str(run / "memory.csv") in result.stderr) == (EXIT_USAGE, True)
    assert [path.name for path in run.parent.iterdir()] == [run.name]
