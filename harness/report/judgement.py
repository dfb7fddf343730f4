"""What a judged run says on a terminal: what failed, then what is undecided, then the rest, counts, and what to do."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from harness.tables import Run
from harness.verdicts.wording import change_text, counts_text, quantities_text, quantity_name, status_lines
from harness.vocabulary import BROKEN

SHOWN = 20
BROKEN_SHOWN = 3
COMMIT_DIGITS = 8


def judgement_lines(verdicts: pd.DataFrame, head: pd.DataFrame) -> Iterator[str]:
    """Lines of the head's broken cells, a line for each quantity that is not the same, the gravest first and at most
    SHOWN, and a line of counts. head: the rows of its cells.csv."""
    yield from status_lines(head[head["status"].isin(BROKEN)], BROKEN_SHOWN)
    changed = verdicts[verdicts["verdict"] != "same"]
    for row in changed.head(SHOWN).to_dict("records"):
        yield f"{row['verdict']:12} {quantity_name(row)}: {change_text(row)}"
    if len(changed) > SHOWN:
        yield f"... and {len(changed) - SHOWN} more: in verdicts.csv of a duel, and in history.csv"
    yield counts_text(verdicts)


def next_after_duel(verdicts: pd.DataFrame, folder: Path, repeat: str, counted: bool = False) -> Iterator[str]:
    """What a person would do with a duel. repeat: the command that fights it again, without --only; counted: whether
    instructions were counted, or it was tried."""
    yield f"next: `harness report {shlex.quote(str(folder))}` (a page for the browser)"
    undecided = verdicts[(verdicts["verdict"] == "inconclusive") & (verdicts["launches"] > 0)]
    methods = undecided["method"].unique()
    if 0 < len(methods) < verdicts["method"].nunique():
        only = shlex.quote(f"method={','.join(methods)}")
        yield f"next: `{repeat} --only {only}` (fewer cells have more launches in the same time)"
    elif len(methods):
        launches = int(undecided["launches"].max())
        left = quantities_text(len(undecided))
        yield f"next: raise budget_seconds in the study: {launches} launches do not decide {left}"
    if (undecided["kind"] == "time").any() and not counted:
        yield f"next: `{repeat} --count` (counts instructions too, which no load of the machine changes)"


def next_after_comparison(verdicts: pd.DataFrame, base: Run) -> Iterator[str]:
    """What decides more than a comparison of recorded runs: both sides now, in the same rounds."""
    commit = str(base.info.get("commit", "none"))
    if (verdicts["verdict"] == "inconclusive").any() and commit != "none":
        duel = f"harness duel {shlex.quote(base.name)} --base-rev {shlex.quote(commit[:COMMIT_DIGITS])}"
        yield f"next: `{duel}` (measures both sides now, in the same rounds, which decides more)"
