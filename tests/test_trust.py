"""What a file of somebody else may do by its names, its paths or its damage: be told, and nothing else."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from harness.errors import UserError
from harness.study.definition import MOST_CELLS
from harness.tables import BASE, HEAD, RunWriter, append_history, read, recover, write_verdicts
from harness.verdicts.comparison import refuse_unlike
from tests.command_line import call, refused
from tests.recorded import TEXT, record
from tests.sidecar import SIDECAR, write_info
from tests.study_texts import VALID, VALIDATOR, mistake, parsed
from tests.table_rows import CASES, METHODS, history_of, rows_of, verdicts_of

NAMES = {
    "method": VALID.replace("dense", "{}:b"),
    "distribution": VALID + 'distribution = "{}"',
    "metric": VALID + '[precision]\nmetrics = "{}"',
    "parameter": VALID.replace("dense", "a:b") + '[parameters]\n"{}" = 1',
    "value of a parameter": VALID + '[parameters]\ndecimals = ["x", "{}"]',
    "shape": VALID + '[shapes."{}"]\nrows = 2',
}


@pytest.mark.parametrize("place", NAMES)
@pytest.mark.parametrize("word", ["=x", "+x", "-x", "@x", "\\tx", "a\\u001b[31m", "a\\u0000"])
def test_a_study_names_nothing_that_a_spreadsheet_or_a_terminal_would_obey(place: str, word: str) -> None:
    text = NAMES[place].format(word)
    message = mistake(text)
    assert "control characters" in message
    assert message.isprintable()
    assert not VALIDATOR.is_valid(tomllib.loads(text))
    right = {"distribution": "normal", "metric": "rel_l2"}.get(place, "x")
    VALIDATOR.validate(tomllib.loads(NAMES[place].format(right)))


def test_a_shape_has_a_name_and_a_mistake_in_it_is_told_whatever_the_name_is() -> None:
    assert "unknown key 'row'" in mistake(VALID + '[shapes."a.b"]\nrow = 2')
    nameless = VALID + '[shapes.""]\nrows = 2'
    assert "shapes" in mistake(nameless)
    assert not VALIDATOR.is_valid(tomllib.loads(nameless))


def test_a_study_of_more_cells_than_can_be_planned_is_refused() -> None:
    line = f"seed = {list(range(3000))}\nrows = {list(range(1, 3001))}\n"
    assert f"{18_000_000} combinations" in mistake(VALID + line)
    assert str(MOST_CELLS) in mistake(VALID + line)
    assert parsed(VALID + f"seed = {list(range(3000))}\n")


PLACES = ["../../x", "/tmp/x", "..", ".", "", "a/b", "a\\b", "a\0b", "a\nb", "~", "x" * 300, "=x", "é"]


@pytest.mark.parametrize("place", PLACES, ids=repr)
@pytest.mark.parametrize("key", ["study", "machine"])
def test_a_name_in_run_json_that_leads_out_of_results_is_refused(tmp_path: Path, key: str, place: str) -> None:
    """Every verb that would make a path of it; what is outside stays as it is."""
    results = tmp_path / "deep" / "results"
    base, run = (
        record(results / "here" / "recorded" / name, launches=2)
        for name in ("20260101T000000Z_a", "20260102T000000Z_b")
    )
    info = json.loads((run / "run.json").read_text())
    info[key] = {"slug": place} if key == "machine" else place
    (run / "run.json").write_text(json.dumps(info))
    before = sorted(tmp_path.rglob("*"))
    for verb in (("compare", base, run), ("plot", run), ("run", "--resume", run), ("export", run, "--to", "junit")):
        folders = ("--results", results, *(("--studies", tmp_path) if verb[0] in ("plot", "run") else ()))
        message = refused(call(*verb, *folders))
        assert message.startswith(f"harness: {run / 'run.json'}: {'machine.slug' if key == 'machine' else 'study'}: ")
    assert sorted(tmp_path.rglob("*")) == before


def test_a_study_in_a_history_that_leads_out_of_results_is_refused(tmp_path: Path) -> None:
    history = tmp_path / "here" / "history.csv"
    append_history(history, history_of(verdicts_of("x"), "x").assign(study="../../x"))
    result = call("history", "--machine", "here", "--results", tmp_path, "--studies", tmp_path)
    assert refused(result).startswith(f"harness: {history}: ")


def test_a_link_in_results_is_followed_but_a_whole_file_takes_its_place(tmp_path: Path) -> None:
    """As everywhere in a file system: whoever may make links in results/ may write there. A table or a sidecar that is
    written whole replaces a link, and does not write through it."""
    outside = tmp_path / "outside.txt"
    outside.write_text("mine")
    folder = tmp_path / "results" / "duel"
    folder.mkdir(parents=True)
    (folder / "verdicts.csv").symlink_to(outside)
    write_verdicts(folder, verdicts_of("x"), {})
    assert outside.read_text() == "mine"
    assert not (folder / "verdicts.csv").is_symlink()


def test_a_message_is_no_longer_than_a_person_reads() -> None:
    assert len(mistake(VALID.replace("dense", "x" * 100_000))) < 1000
    assert len(mistake(VALID + f'dtype = "{"x" * 100_000}"')) < 1000
    assert len(mistake(VALID + f'd = "{"x" * 100_000}"')) < 1000


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"text": "title ="}, "text"),
        ({"text": "a = " + "[" * 5000}, "text"),
        ({"torch": []}, "torch"),
        ({"torch": {"torch": 3}}, "torch.torch"),
        ({"timing": [1]}, "timing"),
        ({"timing": {"launches": 0}}, "launches"),
        ({"timing": {"launches": 1.0}}, "launches"),
        ({"commit": {}}, "commit"),
        ({"dirty": "no"}, "dirty"),
        ({"parameters": {"launch": "int"}}, "launch"),
        ({"parameters": {"=x": "int"}}, "parameters"),
        ({"only": ["\ud800"]}, "surrogates"),
        ({"more": {"deep": ["\ud800"]}}, "surrogates"),
    ],
    ids=lambda each: str(each)[:40],
)
def test_a_value_of_run_json_that_no_reader_could_use_is_refused(
    tmp_path: Path, change: dict[str, Any], word: str
) -> None:
    (tmp_path / "run.json").write_text(json.dumps(SIDECAR | change))
    with pytest.raises(UserError, match=re.escape(word)) as caught:
        read(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / 'run.json'}: ")


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"a": ' * 100_000, '{"schema": ' + "9" * 5000 + "}"], ids=["[", "{", "9"]
)
def test_a_run_json_that_no_reader_of_json_takes_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(UserError, match=re.escape(f"{tmp_path / 'run.json'}: not JSON: ")):
        read(tmp_path)


def test_rows_of_one_case_that_differ_in_an_axis_are_refused(tmp_path: Path) -> None:
    """A digit that has changed would be another case under the same name."""
    run = record(tmp_path / "run", launches=2)
    timings = (run / "timings.csv").read_text()
    (run / "timings.csv").write_text(timings.replace(",64,4,", ",65,4,", 1))
    with pytest.raises(UserError, match=re.escape(f"{run / 'timings.csv'}: ") + ".*rows of one case differ in an axis"):
        read(run).check()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("case,method", "method,case"),
        (",launch,", ",lunch,,"),
        (f"{CASES[0].id},native", f"{CASES[0].id[1:]},native"),
        (",1,ok", ",one,ok"),
        (",1,ok,nan,", ",1,ok,"),
    ],
)
def test_a_line_that_no_kill_has_damaged_is_not_cut_but_told(tmp_path: Path, old: str, new: str) -> None:
    write_info(tmp_path)
    with RunWriter(tmp_path, {}) as writer:
        writer.open()
        writer.commit(rows_of(CASES[0], 1))
        writer.commit(rows_of(CASES[1], 1))
    log = tmp_path / "cells.csv"
    assert old in log.read_text()
    log.write_text(log.read_text().replace(old, new, 1))
    before = {path: path.read_bytes() for path in tmp_path.glob("*.csv")}
    with pytest.raises(UserError, match=re.escape(f"{log}: line ")):
        recover(tmp_path, {case.id: len(METHODS) for case in CASES})
    assert {path: path.read_bytes() for path in tmp_path.glob("*.csv")} == before


def test_a_field_of_any_length_is_read_again(tmp_path: Path) -> None:
    write_info(tmp_path)
    with RunWriter(tmp_path, {}) as writer:
        writer.open()
        writer.commit(rows_of(CASES[0], 1, text="x" * 200_000))
    assert recover(tmp_path, {CASES[0].id: len(METHODS)}) == {(1, CASES[0].id)}
    assert set(read(tmp_path).cells["reason"]) == {"x" * 200_000}


@pytest.mark.parametrize("word", ["a**", "*", "", "..", "../here/recorded", "[r]ecorded", "here/../recorded"])
@pytest.mark.parametrize("verb", ["plot", "compare", "export", "report"])
def test_a_word_is_a_folder_or_the_name_of_a_study_and_no_pattern(tmp_path: Path, verb: str, word: str) -> None:
    record(tmp_path / "here" / "recorded" / "20260101T000000Z_a", launches=2)
    more = {"compare": [word], "export": ["--to", "junit"]}.get(verb, ["--studies", str(tmp_path)])
    message = refused(call(verb, word, *more, "--results", tmp_path))
    assert any(words in message for words in ("unknown run", "no such file", "not the folder of a run")), message


@pytest.mark.parametrize("text", ["precision = 3", "precision = [1]", "[precision]\ntensors = 3", ""])
def test_a_text_that_is_no_study_of_today_can_be_compared_with(tmp_path: Path, text: str) -> None:
    base, head = (read(record(tmp_path / side, launches=2, text=each)) for side, each in ((BASE, text), (HEAD, TEXT)))
    refuse_unlike(base, head)
