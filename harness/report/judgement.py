"""The lines about a judged run on a terminal: failures first, then the undecided, the rest, counts, and advice."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from harness.tables import Run
from harness.verdicts.wording import (
    change_text,
    commit_label,
    counts_text,
    quantities_text,
    quantity_name,
    status_lines,
)
from harness.vocabulary import BROKEN

SHOWN = 20
BROKEN_SHOWN = 3


def judgement_lines(verdicts: pd.DataFrame, head: pd.DataFrame) -> Iterator[str]:
    """The head's broken cells, then a line for each quantity that is not `same` (the gravest first, at most SHOWN),
    then a line of counts. head: the rows of its cells.csv."""
    yield from status_lines(head[head["status"].isin(BROKEN)], BROKEN_SHOWN)
    changed = verdicts[verdicts["verdict"] != "same"]
    for row in changed.head(SHOWN).to_dict("records"):
        yield f"{row['verdict']:12} {quantity_name(row)}: {change_text(row)}"
    if len(changed) > SHOWN:
        yield f"... and {len(changed) - SHOWN} more: in verdicts.csv of a duel, and in history.csv"
    yield counts_text(verdicts)


def next_after_duel(verdicts: pd.DataFrame, folder: Path, repeat: str, counted: bool = False) -> Iterator[str]:
    """Suggested next commands after a duel. repeat: the command that repeats it, without --only; counted: whether
    counts of instructions were asked for."""
    yield f"next: `harness report {shlex.quote(str(folder))}` (a page for the browser)"
    # 0 launches: never measured on both sides at once, which more launches would not change
    undecided = verdicts[(verdicts["verdict"] == "inconclusive") & (verdicts["launches"] > 0)]
    methods = undecided["method"].unique()
    if 0 < len(methods) < verdicts["method"].nunique():
        only = shlex.quote(f"method={','.join(methods)}")
        yield f"next: `{repeat} --only {only}` (fewer cells get more launches in the same time)"
    elif len(methods):
        launches = int(undecided["launches"].max())
        left = quantities_text(len(undecided))
        yield f"next: raise budget_seconds in the study: {launches} launches do not decide {left}"
    if (undecided["kind"] == "time").any() and not counted:
        yield f"next: `{repeat} --count` (counts instructions too, which no load of the machine changes)"


def next_after_comparison(verdicts: pd.DataFrame, base: Run) -> Iterator[str]:
    """After an undecided comparison of recorded runs, suggest a duel, which decides more."""
    commit = str(base.info.get("commit", "none"))
    if (verdicts["verdict"] == "inconclusive").any() and commit != "none":
        duel = f"harness duel {shlex.quote(base.name)} --base-rev {shlex.quote(commit_label(commit))}"
        yield f"next: `{duel}` (measures both sides now, in the same rounds, which decides more)"
