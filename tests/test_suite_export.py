"""A duel of a pytest suite for other tools and as a report: its tests have the names that pytest gives them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import jsonschema
import pytest

import harness
from harness.cli.publish import publish
from harness.export import export
from harness.export.json_schema import results_schema
from harness.tables import HEAD, read_suite
from tests.browsing import Open, violations
from tests.command_line import call
from tests.payload import payload_of
from tests.suite_sides import EFFECT, duelled_suite


@pytest.fixture(scope="module")
def duel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A duel of the suite a.py, in the results of a machine."""
    return duelled_suite(
        tmp_path_factory.mktemp("results") / "here" / "pytest-a" / "20260101T000000Z_b_vs_a", rich="14"
    )


def test_markdown_has_a_line_for_each_test_that_is_not_the_same(duel: Path) -> None:
    text = export(duel, "markdown")
    assert text.startswith("### a.py: 1 slower\n")
    (line,) = [each for each in text.splitlines() if each.startswith("| slower")]
    assert "a.py::test\\_slower\\[3\\]" in line
    assert "test\\_same" not in text
    assert "rich 14" in text.splitlines()[-1]
    assert "rich not imported" in text.splitlines()[-1]


def test_json_is_as_its_schema_says_and_tells_the_versions_of_packages(duel: Path) -> None:
    told = json.loads(export(duel, "json"), parse_constant=pytest.fail)
    jsonschema.Draft202012Validator(results_schema()).validate(told)
    assert (told["kind"], told["study"], told["exit_code"]) == ("suite", "a.py", 1)
    rows = {row["test"]: row for row in told["verdicts"]}
    slower = rows["a.py::test_slower[3]"]
    assert (slower["parameters"], slower["verdict"], slower["kind"]) == ({"n": "3"}, "slower", "time")
    assert slower["ratio"] == pytest.approx(1.1, rel=0.02)
    assert (told["sides"]["head"]["packages"]["rich"], "rich" in told["sides"]["base"]["packages"]) == ("14", False)


def test_python_reads_the_verdicts_of_a_suite_too(duel: Path) -> None:
    found = harness.verdicts(duel)
    assert found.set_index("test")["verdict"].to_dict()["a.py::test_slower[3]"] == "slower"
    assert len(found) == len(EFFECT)


def test_junit_has_a_failure_for_the_slower_test(duel: Path) -> None:
    suite = ElementTree.fromstring(export(duel, "junit").encode())
    failed = [case.get("name") for case in suite.iter("testcase") if case.find("failure") is not None]
    assert failed == ["a.py::test_slower[3]"]
    facts = {each.get("name"): each.get("value") for each in suite.iter("property")}
    assert (facts["base.rich"], facts["head.rich"]) == ("not imported", "14")


def test_pytest_benchmark_finds_the_tests_under_their_own_names(duel: Path, tmp_path: Path) -> None:
    found = json.loads(export(duel, "pytest-benchmark"))
    entries = {each["fullname"]: each for each in found["benchmarks"]}
    assert set(entries) == {f"a.py::{name}[3]" for name in EFFECT}
    slower = entries["a.py::test_slower[3]"]
    assert (slower["name"], slower["params"], slower["param"]) == ("test_slower[3]", {"n": "3"}, "3")
    timings = read_suite(duel / HEAD).timings
    assert slower["stats"]["data"] == timings.loc[timings["test"] == slower["fullname"], "seconds"].tolist()
    file = tmp_path / "suite.json"
    file.write_text(json.dumps(found))
    shown = subprocess.run(
        [sys.executable, "-m", "pytest_benchmark", "compare", str(file)], capture_output=True, text=True, cwd=tmp_path
    )
    assert shown.returncode == 0, shown.stderr
    assert "test_slower[3]" in shown.stdout


def test_the_verb_takes_the_name_of_the_suite(duel: Path) -> None:
    told = call("export", "pytest-a", "--to", "markdown", "--results", str(duel.parents[2]))
    assert (told.exit_code, told.stdout) == (0, export(duel, "markdown"))


@pytest.fixture(scope="module")
def page(duel: Path) -> Path:
    """The report of the duel."""
    return publish(["pytest-a"], duel.parents[2], Path("studies"))


def test_the_report_has_the_verdicts_the_blocks_and_the_sides(duel: Path, page: Path) -> None:
    text = page.read_text()
    assert re.search(r"slower</th>\s*<td[^>]*>a\.py::test_slower\[3\]", text)
    assert re.search(r"packages\.rich</th><td[^>]*>-</td><td[^>]*>14", text)
    (suite,) = payload_of(text)["runs"]
    assert set(suite["tables"]) == {"verdicts", "rounds"}
    assert set(suite["cells"]) == {"case", "method", "test", "param_n"}
    assert suite["blocks"] == len(read_suite(duel / HEAD).timings)
    assert "The study, as it was asked for" not in text


def test_the_report_of_a_suite_works_in_the_browser(in_browser: Open, page: Path) -> None:
    shown = in_browser(page, "#run=0&table=verdicts")
    assert shown.title().startswith("a.py: 11111111 against 11111111")
    shown.wait_for_selector("#chart >> text=head / base")
    assert "a.py::test_slower[3]" in shown.inner_text("#rows")
    shown.select_option("select[name=table]", "rounds")
    shown.wait_for_selector("#chart >> text=seconds a call")
    assert violations(shown) == []


def test_compare_tells_the_duel_of_a_suite_again(duel: Path, tmp_path: Path) -> None:
    again = call("compare", duel, "--results", tmp_path)
    assert (again.exit_code, again.stderr) == (1, "")
    assert re.search(r"^slower +a\.py::test_slower\[3\]: 1\.\d+x", again.stdout, re.MULTILINE)
    assert again.stdout.splitlines()[-1].startswith("base 11111111, ")
    assert json.loads(call("compare", duel, "--to", "json").stdout) == json.loads(export(duel, "json"))
    assert list(tmp_path.iterdir()) == []
