"""What is committed under results/: every column explained, every figure what its tables give, each finding in them."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from harness.scripts import drawing
from harness.scripts.drawing import draw_figures
from harness.scripts.studies import load_script
from harness.tables import TABLES, by_machine, read
from harness.tables.judged import SUITE_HISTORY_FILE, history_schema, verdicts_schema
from harness.tables.schema import KEY, column_kinds, schema
from harness.tables.suites import suite_history_schema, suite_schema
from harness.vocabulary import RESULTS, STUDIES

ROOT = Path(__file__).parent.parent
REFERENCES = sorted((ROOT / RESULTS).glob("*/*/reference"))
MOST_BYTES = 20e6
UNLIKE = 0.1
"""Of a channel from 0 to 1: less than the edge of a line that lies a thousandth of a pixel farther."""
MOST_UNLIKE = 10
"""Pixels of a figure, of about a million: a marker that moves changes a hundred."""

references = pytest.mark.parametrize("path", REFERENCES, ids=lambda path: path.parent.name)


def explained(text: str) -> dict[str, list[list[str]]]:
    """heading -> the rows [column, type, what it is] of the table under it."""
    parts = re.split(r"^## (.*)$", text, flags=re.M)
    rows = [re.findall(r"^\| (\w+) \| (\w+) \| (.*) \|$", part, flags=re.M) for part in parts[2::2]]
    return {
        heading: [list(row) for row in found if row[1] != "type"]
        for heading, found in zip(parts[1::2], rows, strict=True)
    }


def test_every_column_of_every_table_is_explained() -> None:
    told = explained((ROOT / RESULTS / "README.md").read_text(encoding="utf-8"))
    tables = {table: schema(table) for table in TABLES}
    tables |= {"verdicts": verdicts_schema(), "history": history_schema()}
    for table, declared in tables.items():
        kinds = column_kinds(declared)
        want = [[name, kinds[name].__name__, column.description] for name, column in declared.columns.items()]
        assert [row for row in want if row[0] in KEY] == told["The key"], table
        assert [row for row in want if row[0] not in KEY] == told[f"{table}.csv"], table


def test_every_column_of_a_suite_is_explained() -> None:
    told = explained((ROOT / RESULTS / "README.md").read_text(encoding="utf-8"))
    declarations = {
        f"{table}.csv of a suite": suite_schema(table, ["name"]) for table in ("tests", "timings", "verdicts")
    }
    for table, declared in (declarations | {SUITE_HISTORY_FILE: suite_history_schema()}).items():
        kinds = column_kinds(declared)
        want = [[name, kinds[name].__name__, column.description] for name, column in declared.columns.items()]
        assert want == told[table], table


def test_every_study_has_a_reference() -> None:
    studies = {path.stem for path in (ROOT / STUDIES).glob("*.toml")}
    assert {path.parent.name for path in REFERENCES} == studies, "a study in studies/ needs one: harness keep NAME"


def test_the_references_are_small_enough_to_be_cloned() -> None:
    sizes = [path.stat().st_size for path in (ROOT / RESULTS).glob("*/*/reference/*") if path.is_file()]
    assert 0 < sum(sizes) < MOST_BYTES


@references
def test_a_reference_is_whole_and_of_a_commit(path: Path) -> None:
    run = read(path)
    assert run.info["end"] > run.info["begin"]
    assert run.info["dirty"] is False
    assert re.fullmatch("[0-9a-f]{40}", run.info["commit"])
    assert run.name == path.parent.name
    assert run.info["machine"]["slug"] == path.parent.parent.name
    assert run.info["machine"]["cpu"] in (ROOT / RESULTS / "README.md").read_text(encoding="utf-8")
    assert not re.search(r"(?<![\w.])/\w", json.dumps(dict(run.info) | {"text": ""}))  # no path of that machine
    assert not run.cells["status"].isin(("crashed", "incorrect", "timeout", "out_of_memory")).any()


def pinned() -> bool:
    """Whether what draws here is what drew the committed figures; any other draws other pixels."""
    extra = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    return all(f"{name}=={metadata.version(name)}" in extra["figures"] for name in ("matplotlib", "seaborn"))


@references
def test_the_committed_figures_are_what_the_committed_tables_give(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The PNG files: an SVG is the same figure, and to write both takes twice the time."""
    monkeypatch.setattr(drawing, "FORMATS", ("png",))
    for table in (each for each in path.iterdir() if each.is_file()):
        (tmp_path / table.name).symlink_to(table)
    said: list[str] = []
    for run in by_machine(read(tmp_path)):
        draw_figures(run, ROOT / STUDIES, said.append)
    assert said == []
    drawn, committed = (each / "figures" for each in (tmp_path, path))
    script = load_script(path.parent.name, ROOT / STUDIES)
    if not (script.figures or script.summary):
        assert not drawn.exists()
        assert not committed.exists()
        return
    names = {each.name for each in committed.iterdir()}
    assert {each.name for each in drawn.iterdir()} == {name for name in names if not name.endswith(".svg")}
    assert {name.removesuffix(".svg") for name in names if name.endswith(".svg")} == {
        name.removesuffix(".png") for name in names if name.endswith(".png")
    }
    for figure in drawn.glob("*.png") if pinned() else ():
        if figure.read_bytes() == (committed / figure.name).read_bytes():
            continue
        mine, theirs = (matplotlib.image.imread(each / figure.name) for each in (drawn, committed))
        assert mine.shape == theirs.shape, figure.name
        assert int((np.abs(mine - theirs).max(axis=-1) > UNLIKE).sum()) <= MOST_UNLIKE, figure.name
    if script.summary:
        mine_told, theirs_told = ((each / "summary.md").read_text(encoding="utf-8") for each in (drawn, committed))
        assert mine_told == theirs_told


def findings() -> Iterator[tuple[int, str]]:
    """Number and text of each finding of the README."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (section,) = re.findall(r"^## Findings$(.*?)^## ", text, flags=re.M | re.S)
    for number, body in re.findall(r"^(\d+)\. (.*?)(?=^\d+\. |\Z)", section, flags=re.M | re.S):
        yield int(number), " ".join(body.split())


def test_findings_are_numbered() -> None:
    numbers = [number for number, _ in findings()]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) >= 10


@pytest.mark.parametrize(("number", "text"), list(findings()), ids=lambda each: str(each)[:2])
def test_each_figure_of_a_finding_is_in_the_summary_that_its_command_prints(number: int, text: str) -> None:
    assert "*Refuted by*" in text
    (study,) = re.findall(r"`harness plot (\w+)`", text)
    summaries = (ROOT / RESULTS).glob(f"*/{study}/reference/figures/summary.md")
    told = "".join(summary.read_text(encoding="utf-8") for summary in summaries)
    figures = re.findall(r"\*\*(.+?)\*\*", text)
    assert figures
    assert [figure for figure in figures if figure not in told] == []
