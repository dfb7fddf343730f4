"""A run or a duel as JUnit XML."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from harness.export.results import PROJECT, Results, broken_cells, cell_name, plain
from harness.verdicts.comparison import FAILING
from harness.verdicts.wording import change_text, quantity_name
from harness.vocabulary import BROKEN

if TYPE_CHECKING:
    from junitparser import JUnitXml, TestCase, TestSuite

ERRORS = (*BROKEN, "timeout")
"""Statuses that JUnit calls errors. Every other one, except `ok`, is exported as a skip."""


def junit_xml(results: Results) -> str:
    """The results as JUnit XML.

    A run has one testcase for each cell in each launch; a duel has one for each quantity and each broken cell.
    """
    from junitparser import JUnitXml, TestSuite

    suite = TestSuite(plain(results.head.name))
    suite.timestamp = plain(results.head.info["begin"])
    for side, run in results.sides.items():
        for name, value in results.facts(run).items():
            suite.add_property(".".join(filter(None, (side, name))), plain(value))
    if results.verdicts is None:
        suite.add_testcases([_cell_case(row, results.head.name) for row in results.head.cells.to_dict("records")])
    else:
        broken = [_cell_case(row, f"{results.head.name}.{side}") for side, row in broken_cells(results)]
        judged = [_quantity_case(row, results.head.name) for row in results.verdicts.to_dict("records")]
        suite.add_testcases([*broken, *judged])
    return _xml_text(suite, JUnitXml(PROJECT))


def _cell_case(row: Any, suite: str) -> TestCase:
    from junitparser import Error, Skipped

    message = plain(f"{row['status']}: {row['reason']}")
    outcome = None if row["status"] == "ok" else (Error if row["status"] in ERRORS else Skipped)(message, row["status"])
    return _test_case(cell_name(row), suite, outcome, row["wall_seconds"])


def _quantity_case(row: Any, suite: str) -> TestCase:
    from junitparser import Failure, Skipped

    kinds = dict.fromkeys(FAILING, Failure) | {"inconclusive": Skipped}
    kind = kinds.get(row["verdict"])
    outcome = kind(plain(f"{row['verdict']}: {change_text(row)}"), row["verdict"]) if kind else None
    return _test_case(quantity_name(row), f"{suite}.{row['kind']}", outcome)


def _test_case(name: str, suite: str, outcome: Any, seconds: float | None = None) -> TestCase:
    from junitparser import TestCase

    case = TestCase(plain(name), plain(suite), seconds)
    if outcome is not None:
        case.result = outcome
    return case


def _xml_text(suite: TestSuite, document: JUnitXml) -> str:
    document.add_testsuite(suite)
    buffer = io.BytesIO()
    document.write(buffer, pretty=True)
    return buffer.getvalue().decode()
