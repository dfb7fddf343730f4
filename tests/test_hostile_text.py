"""Hostile text on a page, in an export and on a terminal: shown as text, and obeyed by none of them."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from harness.errors import UserError, unknown
from harness.export import FORMATS
from harness.export.results import Results
from harness.page.compared import Comparison
from harness.page.document import document
from harness.page.reported import Drawn, Reported
from harness.study.tables import Gate
from harness.tables import Run, read
from harness.verdicts.comparison import compare_verdicts
from tests.command_line import call
from tests.payload import payload_of
from tests.recorded import TEXT, record
from tests.study_texts import VALID

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
    carried = {
        (name, column)
        for run in payload_of(page)["runs"]
        for name, table in ({"cells": run["cells"]} | run["tables"]).items()
        for column, values in table.items()
        if isinstance(values, dict) and HOSTILE in values["words"]
    }
    assert carried >= {("cells", "method"), ("cells", "distribution"), ("error", "metric"), ("verdicts", "reason")}
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
            *("testsuites", "testsuite", "testcase", "failure", "error", "skipped"),
            *("properties", "property"),
        }
    elif form == "markdown":
        assert "<" not in text.replace("&lt;", "")
        assert re.search(r"(?<!\\)[`\[]", text) is None
        assert [each for each in ("://", "www.") if each in text] == []
        tables = [line for line in text.splitlines() if line.startswith("|")]
        assert len({line.count("|") for line in tables}) == 1
    else:
        assert json.loads(text)["benchmarks" if form == "pytest-benchmark" else "sides"]


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
        "plot": [runs[1], "--studies", tmp_path],
        "history": ["--machine", "here", "--studies", tmp_path],
    }
    result = call("compare", *runs, "--results", tmp_path, color=True)
    if verb != "compare":
        result = call(verb, *arguments[verb], "--results", tmp_path, color=True)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert len(result.output) > 20
    assert [each for each in result.output if not (each.isprintable() or each == "\n")] == []


def test_the_title_of_a_study_and_a_message_are_printable(tmp_path: Path) -> None:
    (tmp_path / "odd.toml").write_text(VALID.replace("Trial", "\\u001b[31mred"))
    result = call("list", "--studies", tmp_path, color=True)
    assert "\\x1b[31mred" in result.output
    assert str(unknown("a\x1b[31m", "word", "\x07b\u2028", ["c"])).isprintable()
    assert str(UserError("a\nb\x1b")) == "a b\\x1b"
