"""Runs of which little is left: every reader says what there is, without a warning and without a figure that says
nothing."""

from __future__ import annotations

import re
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from harness.cli import cli
from harness.scripts import drawing
from harness.study.cells import Case
from tests.recorded import CASES, record

Spoil = Callable[[pd.DataFrame], pd.DataFrame]

LARGEST = 1e6
"""A ratio beyond this, or under its reciprocal, says nothing."""


def only(launches: int) -> Spoil:
    return lambda rows: rows[rows["launch"] <= launches]


def of_gather(launches: int) -> Spoil:
    """gather alone has fewer launches."""
    return lambda rows: rows[(rows["method"] != "gather") | (rows["launch"] <= launches)]


def seconds(change: Callable[[pd.DataFrame], Any]) -> Spoil:
    return lambda rows: rows.assign(seconds=change(rows))


def apart(rows: pd.DataFrame) -> pd.Series:
    """Launches of gather that lie 10^12 apart."""
    return rows["seconds"].where(rows["method"] != "gather", 10.0 ** (-12 + 4 * rows["launch"]))


SPOILED: dict[str, Spoil] = {
    "whole": lambda rows: rows,
    "one launch": only(1),
    "two launches": only(2),
    "one round": lambda rows: rows[rows["round"] == 0],
    "one block a method": lambda rows: rows[(rows["round"] == 0) & (rows["launch"] == 1)],
    "a method with one launch": of_gather(1),
    "a method with two launches": of_gather(2),
    "a method without": of_gather(0),
    "no native": lambda rows: rows[rows["method"] != "native"],
    "native alone": lambda rows: rows[rows["method"] == "native"],
    "no read": lambda rows: rows[rows["method"] != "read"],
    "one case": lambda rows: rows[rows["n"] == 64],
    "nothing": lambda rows: rows.head(0),
    "all the same": seconds(lambda rows: 1e-4),
    "launches far apart": seconds(apart),
    "of two launches far apart": lambda rows: only(2)(seconds(apart)(rows)),
}

NAN = {
    "memory.csv": "peak_bytes",
    "discrepancies.csv": "value",
}
"""Figures that may be NaN, as seconds may not: table -> column."""

VERBS: dict[str, Callable[[str, Path], list[str]]] = {
    "report": lambda run, out: ["report", run, "--output", str(out / "page.html")],
    "export to markdown": lambda run, _: ["export", run, "--to", "markdown"],
    "export to junit": lambda run, _: ["export", run, "--to", "junit"],
}


@pytest.fixture(autouse=True)
def _laid_out_in_one_format(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page draws its figures in every format and takes the smaller file: both say the same. To lay a figure out warns
    of whatever a file of it would."""

    def laid_out(figure: Any, _: str) -> bytes:
        figure.draw_without_rendering()
        return b"<svg xmlns='http://www.w3.org/2000/svg'/>"

    monkeypatch.setattr(drawing, "FORMATS", ("svg",))
    monkeypatch.setattr(drawing, "_picture", laid_out)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """k = n in one of its cases."""
    cases = (*CASES, Case(n=64, k=64))
    return record(tmp_path_factory.mktemp("recorded") / "run", launches=4, cases=cases, slower={"gather": 0.25})


def tell(arguments: list[str]) -> str:
    """What a verb prints. Any warning is an error, and so is a traceback."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        for module in ("numpy", "pandas", "harness"):
            warnings.filterwarnings("error", module=rf"{module}(\.|$)")
        result = CliRunner().invoke(cli, arguments)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.output


@pytest.mark.parametrize("spoiled", SPOILED)
def test_no_reader_warns_or_tells_a_figure_that_says_nothing(recorded: Path, tmp_path: Path, spoiled: str) -> None:
    run = Path(shutil.copytree(recorded, tmp_path / "machine" / "recorded" / "run"))
    change(run / "timings.csv", SPOILED[spoiled])
    check(run, tmp_path)


@pytest.mark.parametrize("table", NAN)
def test_figures_that_are_nan_make_no_warning(recorded: Path, tmp_path: Path, table: str) -> None:
    run = Path(shutil.copytree(recorded, tmp_path / "machine" / "recorded" / "run"))
    change(run / table, lambda rows: rows.assign(**{NAN[table]: np.nan}))
    check(run, tmp_path)


def change(table: Path, spoil: Spoil) -> None:
    spoil(pd.read_csv(table)).to_csv(table, index=False, na_rep="nan")


def check(run: Path, tmp_path: Path) -> None:
    """Every reader tells what it can."""
    from harness.report.terminal import closing
    from harness.tables import read

    told = [tell(arguments(str(run), tmp_path)) for arguments in VERBS.values()]
    tell(["compare", str(run), str(run), "--results", str(tmp_path)])  # whose intervals are the judge's
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        told += list(closing(read(run), tmp_path, None))
    numbers = re.findall(r"(?<![\w.])\d+(?:\.\d+)?(?:e[+-]\d+)?(?=x|\.\.|\))", "\n".join(told))
    assert all(float(each) < LARGEST for each in numbers), numbers
    assert not re.search(r"e[+-]\d{2}\b(?=.*\.\.)|\(0\.000\.\.", "\n".join(told))
