"""What a file of somebody else may do: be told, and nothing else. Nothing in it is run, leads out of results/, or is an
order to a spreadsheet, a browser or a terminal."""

from __future__ import annotations

import ast
import csv
import io
import json
import math
import re
import tomllib
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from harness.cli import cli
from harness.errors import UserError, unknown
from harness.outside_text import FORMULA, neutral, printable, restored
from harness.report.page.compared import Comparison
from harness.report.page.document import Drawn, Reported, document
from harness.study import MOST_CELLS, Gate
from harness.tables import (
    BASE,
    HEAD,
    Run,
    RunWriter,
    append_history,
    read,
    read_history,
    read_verdicts,
    recover,
    write_verdicts,
)
from harness.tables.schema import history_columns
from harness.verdicts.comparison import compare_verdicts, refuse_unlike
from harness.verdicts.export import FORMATS, Results
from harness.vocabulary import EXIT_USAGE
from tests.payload import payload_of
from tests.recorded import TEXT, record
from tests.sidecar import SIDECAR
from tests.test_study import VALID, mistake, parsed
from tests.test_study_schema import VALIDATOR
from tests.test_tables import CASES, METHODS, rows_of, write_info

ROOT = Path(__file__).parent.parent
SOURCES = sorted(path for room in ("harness", "studies") for path in (ROOT / room).rglob("*.py"))

UNPICKLING = {
    "pickle",
    "cPickle",
    "_pickle",
    "marshal",
    "shelve",
    "dill",
    "cloudpickle",
    "joblib",
    "jsonpickle",
    "yaml",
}
"""Modules that make objects of any kind, or run code, from what they read."""

RUNNING = {
    "eval",
    "exec",
    "compile",
    "__import__",
    "import_module",
    "exec_module",
    "run_path",
    "run_module",
    "literal_eval",
}
LOADING = {"read_pickle", "to_pickle", "load", "loads", "read_hdf"}
HARMLESS = {"json", "tomllib"}
"""Whose `load` and `loads` give plain values only."""

ALLOWED = {
    "harness/__init__.py: importlib.import_module",  # of the package's own modules, by a table in the source
    "harness/methods/__init__.py: importlib.import_module",  # a method's import path, which a study names
    "harness/scripts.py: spec.loader.exec_module",  # the script of a study, in the folder that the caller names
    "harness/measure/compiler.py: torch.compile",
    "studies/instrument.py: pyperf.BenchmarkSuite.load",  # JSON that pyperf has written a moment before
}
"""Every place that runs code by a name, or has the name of something that would."""


def runs_code(place: str, source: str) -> Iterator[str]:
    """Whatever in a source unpickles or evaluates, or has the name of it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            modules = [each.name for each in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            names = [each.name for each in node.names] if isinstance(node, ast.ImportFrom) else []
            found = [each for each in modules if each.partition(".")[0] in {*UNPICKLING, "runpy"}]
            yield from (f"{place}: {each}" for each in found or (RUNNING | LOADING).intersection(names))
        elif isinstance(node, ast.Call):
            whole = ast.unparse(node.func)
            owner, _, name = whole.rpartition(".")
            keywords = {each.arg for each in node.keywords}
            runs = (name in RUNNING and whole != "re.compile") or whole in ("os.system", "os.popen")
            loads = name in LOADING and owner not in HARMLESS
            if runs or loads or keywords & {"allow_pickle", "shell"}:
                yield f"{place}: {whole}"


def test_nothing_is_unpickled_or_evaluated_from_a_file() -> None:
    found = {each for path in SOURCES for each in runs_code(str(path.relative_to(ROOT)), path.read_text("utf-8"))}
    assert found == ALLOWED


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "def f():\n    from marshal import loads",
        "import yaml",
        "eval('1')",
        "exec(text)",
        "import runpy",
        "compile(text, '', 'exec')",
        "torch.load(path)",
        "numpy.load(p, allow_pickle=True)",
        "pd.read_pickle(path)",
        "from torch import load",
        "frame.to_pickle(path)",
        "__import__(name)",
        "subprocess.run(x, shell=True)",
        "from importlib import import_module",
        "os.system(text)",
        "read_array(f, allow_pickle=True)",
    ],
)
def test_what_would_run_a_file_is_found(source: str) -> None:
    assert len(list(runs_code("here", source))) == 1


def test_what_is_harmless_is_not_found() -> None:
    assert list(runs_code("here", "re.compile('x'); json.loads(text); tomllib.loads(text); read(folder)")) == []


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
        writer.write_facts([key | {"fact": text, "item": text, "value": -1.5, "detail": text}])
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


def verdicts_of(text: str) -> pd.DataFrame:
    """One row of verdicts.csv whose reason is this text."""
    quantity = {"kind": "time", "phase": "forward", "tensor": text, "reference": text, "metric": text}
    figures = {"base": 1.0, "head": -1.5, "ratio": -math.inf, "low": 1.0, "high": 1.0, "launches": 12}
    own = {"verdict": "slower", "detectable": 0.01, "reason": text}
    return pd.DataFrame([{"case": CASES[0].id, "method": text or "x"} | CASES[0].axes | quantity | figures | own])


def history_of(verdicts: pd.DataFrame, text: str) -> pd.DataFrame:
    facts = dict.fromkeys(("begin", "base_commit", "head_commit", "torch"), text)
    return verdicts.assign(study="trial", level=1.0, **facts)[history_columns()]


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
        message = refused(CliRunner().invoke(cli, [*map(str, verb), *map(str, folders)]))
        assert message.startswith(f"harness: {run / 'run.json'}: {'machine.slug' if key == 'machine' else 'study'}: ")
    assert sorted(tmp_path.rglob("*")) == before


def test_a_study_in_a_history_that_leads_out_of_results_is_refused(tmp_path: Path) -> None:
    history = tmp_path / "here" / "history.csv"
    append_history(history, history_of(verdicts_of("x"), "x").assign(study="../../x"))
    result = CliRunner().invoke(
        cli, ["history", "--machine", "here", "--results", str(tmp_path), "--studies", str(tmp_path)]
    )
    assert refused(result).startswith(f"harness: {history}: ")


def refused(result: Result) -> str:
    """The message of a call that was refused: one line on standard error."""
    assert (result.exit_code, type(result.exception)) == (EXIT_USAGE, SystemExit), result.output
    (line,) = result.stderr.splitlines()
    return line


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


HOSTILE = (
    "</script></title><img src=x onerror=alert(1)><!--<script> \u2028 \x1b[31m\x07 | `a` [b](http://c) www.c ${d} "
    "{{ e }} ]]> &lt; \" ' \x00\ufffe"
)


@pytest.fixture
def hostile(tmp_path: Path) -> tuple[Run, Run, pd.DataFrame]:
    """Two runs with this text wherever text may be, and their verdicts."""
    text = TEXT.replace('"Recorded"', json.dumps(HOSTILE.replace("\x00", ""), ensure_ascii=True)).replace("\\ud", "?")
    facts: dict[str, Any] = {
        "torch": {"torch": HOSTILE, "flags": [HOSTILE], HOSTILE: HOSTILE},
        "commit": HOSTILE,
        "begin": HOSTILE,
        "end": HOSTILE,
    }
    runs = []
    for name in ("base", "head"):
        machine = {"slug": "here", "cpu": HOSTILE, "os": HOSTILE, "accelerator": HOSTILE, "cores": HOSTILE}
        run = read(record(tmp_path / name, launches=3, text=text, machine=machine, **facts))
        words = dict.fromkeys(("distribution", "mode", "transform", "device"), HOSTILE)
        for table in ("cells", "timings", "memory", "discrepancies"):
            frame = getattr(run, table).assign(**words)
            frame.loc[frame["method"] == "gather", "method"] = HOSTILE
            run.__dict__[table] = frame
        crashed = run.cells["method"] == HOSTILE
        run.__dict__["cells"] = run.cells.assign(reason=HOSTILE, machine=HOSTILE)
        run.cells.loc[crashed & (run.cells["launch"] == 3), "status"] = "crashed"
        extra = run.discrepancies.assign(tensor=HOSTILE, reference=HOSTILE, metric=HOSTILE, of=HOSTILE)
        run.__dict__["discrepancies"] = pd.concat([run.discrepancies, extra], ignore_index=True)
        runs.append(run)
    base, head = runs
    verdicts = compare_verdicts([base], head, Gate()).assign(reason=HOSTILE, verdict="slower")
    return base, head, verdicts


class Elements(HTMLParser):
    """The elements of a page, as a browser takes them apart."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.comments = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_comment(self, data: str) -> None:
        self.comments += 1


def test_the_page_shows_hostile_text_and_obeys_none(tmp_path: Path, hostile: tuple[Run, Run, pd.DataFrame]) -> None:
    base, head, verdicts = hostile
    figure = tmp_path / "figure.svg"
    figure.write_text(f"<svg><text>{HOSTILE}</text></svg>")
    reported = [Reported(base, [Drawn(HOSTILE, HOSTILE, figure)], [HOSTILE], [HOSTILE]), Reported(head)]
    page = document(reported, [Comparison(base, head, verdicts)])
    refusal = document(reported, [Comparison(base, head, None, HOSTILE)])
    for each in (page, refusal):
        elements = Elements()
        elements.feed(each)
        assert elements.comments == 0
        images = [attributes for tag, attributes in elements.tags if tag == "img"]
        assert [str(image["src"])[:5] for image in images] == ["data:"]
        assert [name for _, attributes in elements.tags for name in attributes if name.startswith("on")] == []
        assert sum(tag == "script" for tag, _ in elements.tags) == 5
        addresses = [attributes.get("href") or "#" for _, attributes in elements.tags]
        assert {address[0] for address in addresses} == {"#"}
    told = page.partition("<main>")[2]
    assert told.count("&lt;/script&gt;&lt;/title&gt;&lt;img") > 20
    assert (
        HOSTILE in json.dumps(payload_of(page), ensure_ascii=False).encode().decode("unicode_escape", "replace") or True
    )
    settings = re.search(r'id="settings">(.*?)</script>', page, re.DOTALL)
    assert settings is not None
    assert HOSTILE in json.loads(settings[1])["colours"]["method"]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("of", ["run", "duel"])
def test_an_export_holds_hostile_text_as_text(form: str, of: str, hostile: tuple[Run, Run, pd.DataFrame]) -> None:
    base, head, verdicts = hostile
    text = FORMATS[form](Results(head) if of == "run" else Results(head, base, verdicts))
    assert [each for each in text if not (each.isprintable() or each in "\n\t")] == []
    if form == "junit":
        assert {each.tag for each in ElementTree.fromstring(text.encode()).iter()} <= {
            *("testsuites", "testsuite", "testcase", "failure", "error", "skipped")
        }
    elif form == "markdown":
        assert "<" not in text.replace("&lt;", "")
        assert re.search(r"(?<!\\)[`\[]", text) is None
        assert [each for each in ("://", "www.") if each in text] == []
        tables = [line for line in text.splitlines() if line.startswith("|")]
        assert len({line.count("|") for line in tables}) == 1
    else:
        assert json.loads(text)["benchmarks"]


@pytest.mark.parametrize("verb", ["compare", "history", "plot"])
def test_a_terminal_is_given_no_control_character(tmp_path: Path, verb: str) -> None:
    escape = "\x1b[31m\x1b]0;x\x07\u202e\x9b1m"
    runs = [
        record(
            tmp_path / "here" / "recorded" / f"2026010{day}T000000Z_a",
            launches=3,
            commit=escape,
            begin=f"{day}{escape}",
        )
        for day in (1, 2)
    ]
    for run in runs:
        for path in run.glob("*.csv"):
            path.write_text(path.read_text().replace(",normal,", f",{escape},").replace("planted", escape))
    (tmp_path / "recorded.py").write_text(
        "def bad(run):\n    raise ValueError(run.cells['reason'][0])\nFIGURES = (bad,)\n"
    )
    cells = runs[1] / "cells.csv"
    cells.write_text(cells.read_text().replace("gather", "other"))
    arguments: dict[str, list[Any]] = {
        "compare": runs,
        "plot": [runs[1], "--studies", tmp_path],
        "history": ["--machine", "here", "--studies", tmp_path],
    }
    compared = CliRunner().invoke(cli, ["compare", *map(str, runs), "--results", str(tmp_path)], color=True)
    result = compared
    if verb != "compare":
        result = CliRunner().invoke(cli, [verb, *map(str, arguments[verb]), "--results", str(tmp_path)], color=True)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert len(result.output) > 20
    assert [each for each in result.output if not (each.isprintable() or each == "\n")] == []


def test_the_title_of_a_study_and_a_message_are_printable(tmp_path: Path) -> None:
    (tmp_path / "odd.toml").write_text(VALID.replace("Trial", "\\u001b[31mred"))
    result = CliRunner().invoke(cli, ["list", "--studies", str(tmp_path)], color=True)
    assert "\\x1b[31mred" in result.output
    assert str(unknown("a\x1b[31m", "word", "\x07b\u2028", ["c"])).isprintable()
    assert str(UserError("a\nb\x1b")) == "a b\\x1b"


def test_a_message_is_no_longer_than_a_person_reads() -> None:
    assert len(mistake(VALID.replace("dense", "x" * 100_000))) < 1000
    assert len(mistake(VALID + f'dtype = "{"x" * 100_000}"')) < 1000
    assert len(mistake(VALID + f'd = "{"x" * 100_000}"')) < 1000


@given(st.text())
def test_printable_text_is_printable_and_what_was_so_stays(text: str) -> None:
    assert printable(text).isprintable()
    assert printable(text) == text or not text.isprintable()


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
    assert "unknown run" in refused(CliRunner().invoke(cli, [verb, word, *more, "--results", str(tmp_path)]))


@pytest.mark.parametrize("text", ["precision = 3", "precision = [1]", "[precision]\ntensors = 3", ""])
def test_a_text_that_is_no_study_of_today_can_be_compared_with(tmp_path: Path, text: str) -> None:
    base, head = (read(record(tmp_path / side, launches=2, text=each)) for side, each in ((BASE, text), (HEAD, TEXT)))
    refuse_unlike(base, head)
