"""What programs are given: JSON that its schema describes, the same in Python, and a run that a notebook shows."""

from __future__ import annotations

import html
import json
import math
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pandas as pd
import pytest

import harness
from harness.errors import UserError
from harness.export import export
from harness.export.as_json import FORMAT
from harness.export.json_schema import results_schema
from harness.report.closing import methods_table
from harness.report.sizes import by_size
from harness.tables import BASE, HEAD, Run, read, read_verdicts, write_verdicts
from harness.verdicts.comparison import duel_verdicts, gate_of
from tests.command_line import call, refused
from tests.recorded import record

ROOT = Path(__file__).parent.parent
REFERENCES = sorted(path.parent for path in ROOT.glob("results/*/*/reference/run.json"))
ANSWERING = ("blockmax", "modes", "regression", "smoke", "speed", "workloads")
"""Studies of methods that compete: of relaxations none does, and of the others nothing is timed in enough launches."""

SCHEMA = results_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def told(folder: Path) -> Any:
    """The document of a folder, which its schema describes; no key of it is unknown to the schema."""
    document = json.loads(export(folder, "json"), parse_constant=pytest.fail)
    VALIDATOR.validate(document)
    kind = next(each for each in SCHEMA["oneOf"] if each["properties"]["kind"]["const"] == document["kind"])
    known = {"properties": SCHEMA["properties"] | kind["properties"]}
    assert list(undescribed(document, known)) == []
    return document


def undescribed(value: Any, schema: Any, place: str = "") -> Any:
    """Where a document has a key that its schema does not name."""
    if isinstance(value, dict) and "properties" in schema:
        for key, each in value.items():
            if key not in schema["properties"]:
                yield f"{place}.{key}"
            else:
                yield from undescribed(each, schema["properties"][key], f"{place}.{key}")
    elif isinstance(value, dict) and isinstance(schema.get("additionalProperties"), dict):
        for key, each in value.items():
            yield from undescribed(each, schema["additionalProperties"], f"{place}.{key}")
    elif isinstance(value, list):
        for each in value:
            yield from undescribed(each, schema.get("items", {}), place)


@pytest.fixture
def duel(tmp_path: Path) -> Path:
    """The folder of a duel in which gather became 20 % slower."""
    folder = tmp_path / "duel"
    base, head = (
        record(folder / side, slower={"gather": slower}, seed=seed, launches=24)
        for seed, (side, slower) in enumerate([(BASE, 1.0), (HEAD, 1.2)])
    )
    runs = read(base), read(head)
    first, second = range(1, 13), range(13, 25)
    write_verdicts(folder, duel_verdicts(*runs, first, second, gate_of(runs[1])), {})
    return folder


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert json.loads(call("list", "--schema", "results").stdout) == SCHEMA
    assert json.loads(call("list", "--schema").stdout)["title"] == "A study"
    assert json.loads(call("list", "--schema", "study").stdout)["title"] == "A study"


@pytest.mark.parametrize("folder", REFERENCES, ids=lambda path: str(path.parent.name))
def test_every_committed_run_is_what_the_schema_says(folder: Path) -> None:
    document = told(folder)
    run = read(folder)
    assert (document["format"], document["kind"], document["study"]) == (FORMAT, "run", run.name)
    assert document["statuses"] == run.cells["status"].value_counts().to_dict()
    assert [each["method"] for each in document["closing"]] == list(methods_table(run).rows.index)
    assert sum(sum(each["statuses"].values()) for each in document["closing"]) <= len(run.cells)
    assert document["sides"]["head"]["commit"] == run.info["commit"]
    assert len(document["answer"]) == len(harness.answer(run))
    assert (document["answer"] != []) == (run.name in ANSWERING)


def test_the_closing_table_in_numbers_has_the_figures_of_the_one_in_words() -> None:
    run = harness.read(next(each for each in REFERENCES if each.parent.name == "speed"))
    table = methods_table(run).rows
    closing = told(run.path)["closing"]
    shown = by_size(run.timings)
    assert shown is not None
    for row in closing:
        own = {each: text for each, text in table.loc[row["method"]].items() if "(" in text}
        assert (
            len(own)
            == len(row["speedups"])
            == sum(row["method"] in set(each["method"]) for each in shown.shown.values())
        )
        for (header, text), speedup in zip(own.items(), row["speedups"], strict=True):
            assert header == f"{speedup['phase']} n={speedup['axes']['n']}"
            found = re.fullmatch(r"([\d.]+)x \(([\d.]+?)\.\.([\d.]+)\)", text)
            assert found is not None
            value, low, high = map(float, found.groups())
            for written, figure in ((value, "speedup"), (low, "low"), (high, "high")):
                assert speedup[figure] == pytest.approx(written, rel=0.06)
        (against_native,) = (each for each in row["errors"] if each["reference"] == "native")
        assert f"{against_native['rel_l2']:.1e}" == table.loc[row["method"], "rel_l2, native"]


def test_the_answer_in_python_is_that_of_the_document(tmp_path: Path) -> None:
    seconds = {"native": 1e-4, "gather": 5e-5, "sort": 5e-5, "dense": 3e-4, "read": 1e-5}
    run = harness.read(record(tmp_path / "run", seconds=seconds))
    answer = harness.answer(run)
    assert set(answer["fastest"]) == {"gather or sort"}
    pd.testing.assert_frame_equal(answer, harness.answer(run.path))
    pd.testing.assert_frame_equal(answer, harness.answer(str(run.path)))
    rows = told(run.path)["answer"]
    assert [each["fastest"] for each in rows] == [["gather", "sort"]] * 2
    assert [each["axes"]["n"] for each in rows] == answer["n"].tolist()
    for name in ("case", "method", "phase", "clock", "speedup", "low", "high", "launches", "standing"):
        assert [each[name] for each in rows] == answer[name].tolist()
    assert rows[0]["speedup"] == pytest.approx(2, rel=0.01)


def test_without_launches_enough_or_times_there_is_no_answer(tmp_path: Path) -> None:
    few = record(tmp_path / "few", launches=2)
    assert harness.answer(few).empty
    assert told(few)["answer"] == []
    broken = record(tmp_path / "broken", status=dict.fromkeys(("native", "gather", "read"), "crashed"))
    assert harness.answer(broken).empty
    document = told(broken)
    assert document["answer"] == []
    assert [each["speedups"] for each in document["closing"]] == [[], []]
    assert document["statuses"] == {"crashed": 72}


def test_the_verdicts_in_python_are_those_of_the_document_and_of_the_duel(duel: Path) -> None:
    verdicts: Any = harness.verdicts
    want = read_verdicts(duel)
    for found in (verdicts(duel), verdicts(duel / BASE, duel / HEAD), verdicts(*map(read, (duel / BASE, duel / HEAD)))):
        pd.testing.assert_frame_equal(found, want)
    document = told(duel)
    assert document["kind"] == "duel"
    assert set(document["sides"]) == {BASE, HEAD}
    assert document["exit_code"] == 1
    assert document["counts"] == {word: int(count) for word, count in want["verdict"].value_counts().items()}
    for name in ("case", "method", "kind", "verdict", "phase", "clock", "reason", "launches", "metric"):
        assert [each[name] for each in document["verdicts"]] == want[name].tolist()
    for name in ("base", "head", "ratio", "low", "high", "detectable"):
        figures = [math.nan if each[name] is None else each[name] for each in document["verdicts"]]
        assert figures == pytest.approx(want[name].tolist(), nan_ok=True)
    slower = next(each for each in document["verdicts"] if each["verdict"] == "slower")
    assert (slower["method"], round(slower["ratio"], 1)) == ("gather", 1.2)


def test_two_recorded_runs_are_compared_as_the_verb_does_it(tmp_path: Path) -> None:
    verdicts: Any = harness.verdicts
    results = tmp_path / "results"
    base, head = (
        record(results / "here" / "recorded" / f"2026010{day}T000000Z_a", slower={"gather": slower}, seed=day)
        for day, slower in ((1, 1.0), (2, 1.2))
    )
    found = verdicts(base, head)
    printed = call("compare", base, head, "--to", "json", "--results", results)
    assert printed.exit_code == 1
    document = json.loads(printed.stdout)
    VALIDATOR.validate(document)
    assert [each["verdict"] for each in document["verdicts"]] == found["verdict"].tolist()
    assert document["exit_code"] == 1
    assert (results / "here" / "history.csv").is_file()
    assert call("compare", base, head, "--to", "markdown", "--results", results).stdout.startswith("### recorded: ")
    with pytest.raises(UserError, match=r"run\.json"):
        verdicts(base, tmp_path / "nowhere")
    assert "unknown format 'jsn'" in refused(call("compare", base, head, "--to", "jsn", "--results", results))


def test_an_unfinished_duel_has_no_verdicts(duel: Path) -> None:
    verdicts: Any = harness.verdicts
    (duel / "verdicts.csv").unlink()
    with pytest.raises(UserError, match="has not ended, so it has no verdicts"):
        verdicts(duel / BASE, duel / HEAD)
    with pytest.raises(UserError, match="no such file"):
        verdicts(duel)


def test_compare_tells_a_duel_again_and_adds_nothing_to_the_history(duel: Path, tmp_path: Path) -> None:
    again = call("compare", duel, "--results", tmp_path)
    assert (again.exit_code, again.stderr) == (1, "")
    assert re.search(r"^slower .*gather n=64", again.stdout, re.MULTILINE)
    assert re.search(r"^\d+ quantities: \d+ slower", again.stdout, re.MULTILINE)
    document = json.loads(call("compare", duel, "--to", "json", "--results", tmp_path).stdout)
    assert document == told(duel)
    assert list(tmp_path.rglob("history.csv")) == []
    assert "is not the folder of a duel" in refused(call("compare", duel / HEAD))
    assert "is not the folder of a duel" in refused(call("compare", "nowhere"))
    for to in ("json", "junit", "markdown", "pytest-benchmark"):
        assert call("export", duel, "--to", to).exit_code == 0


def test_a_number_that_is_none_is_null(tmp_path: Path) -> None:
    run = record(tmp_path / "run", error=math.inf)
    text = (run / "discrepancies.csv").read_text(encoding="utf-8").replace("ulp_max", "rel_l2")
    (run / "discrepancies.csv").write_text(text, encoding="utf-8")
    assert {error["rel_l2"] for each in told(run)["closing"] for error in each["errors"]} == {None}


def test_flips_that_are_unknown_in_one_cell_have_no_sum(tmp_path: Path) -> None:
    run = record(tmp_path / "run", error=2.0)
    text = (run / "discrepancies.csv").read_text(encoding="utf-8").replace("ulp_max", "flips")
    (run / "discrepancies.csv").write_text(text.replace("2.0\n", "nan\n", 1), encoding="utf-8")
    flips = {each["method"]: each["errors"][0]["flips"] for each in told(run)["closing"]}
    assert flips == {"native": None, "gather": 4.0}


def test_a_notebook_shows_a_run_as_its_closing_table(smoke: Run, tmp_path: Path) -> None:
    shown: Any = smoke
    page = shown._repr_html_()
    want = methods_table(smoke)
    assert html.escape(want.heading) in page
    for method, *cells in want.rows.itertuples():
        assert f"<th>{method}</th>" in page
        assert all(f"<td>{html.escape(cell)}</td>" in page for cell in cells)
    hostile = record(tmp_path / "hostile", seconds={"native": 1e-4, "<script>alert(1)</script>": 1e-4, "read": 1e-5})
    told_as: Any = harness.read(hostile)
    assert "<script>" not in told_as._repr_html_()
    (hostile / "cells.csv").write_text("x\n<b>")
    damaged: Any = harness.read(hostile)
    assert damaged._repr_html_().startswith("<p>")
    assert "<b>" not in damaged._repr_html_()


LIGHT = """
import sys
import harness
harness.verdicts
print(harness.__version__)
heavy = {"torch", "pandas", "numpy", "matplotlib", "scipy", "pydantic"} & set(sys.modules)
sys.exit(f"imported {heavy}" if heavy else 0)
"""


def test_importing_the_package_imports_nothing_slow() -> None:
    done = subprocess.run([sys.executable, "-c", LIGHT], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, harness.__version__, "")
    assert set(harness.__all__) >= {"answer", "verdicts", "read", "run", "load_study", "__version__"}
    for name in harness.__all__:
        assert getattr(harness, name)
