"""The comparison of two runs, or of the two sides of a duel, as the page shows it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from harness.page.charts import changes_chart
from harness.page.provenance import facts
from harness.page.table import Table
from harness.report.sides import side_labels, sides_text
from harness.tables import Run
from harness.verdicts.comparison import FAILING, counts
from harness.verdicts.counts import INSTRUCTIONS
from harness.verdicts.judge import TOO_FEW, UNCONFIRMED, UNSURE
from harness.verdicts.wording import change_text, quantities_text, quantity_name, status_lines
from harness.vocabulary import BROKEN

SHOWN_FIRST = 8
"""Changes that are shown while everything is folded."""

SHOWN_CHANGES = 60
"""Changes that the unfolded table shows at most."""

MOST_REASONS = 4
"""Lines about broken cells that the page shows at most."""

OF_INSTRUCTIONS = {"more": "with more instructions", "fewer": "with fewer instructions"}
"""Verdicts on counts of instructions, in words that name instructions."""


@dataclass(frozen=True)
class Comparison:
    """Two runs and the verdicts on the head against the base: None where they are not comparable, and then `refusal`
    says why."""

    base: Run
    head: Run
    verdicts: pd.DataFrame | None
    refusal: str = ""

    @property
    def heading(self) -> str:
        """The study, and which side is compared with which."""
        base, head = (side.replace("_", ", ") for side in side_labels(self.base.info, self.head.info))
        return f"{self.head.name}: {head} against {base}"


def judged(comparison: Comparison) -> dict[str, Any]:
    """The variables of the template for a comparison. Its chart is a specification, or None."""
    base, head, verdicts = comparison.base, comparison.head, comparison.verdicts
    shown = {
        "heading": comparison.heading,
        "sides_text": sides_text(base.info, head.info),
        "sides": _sides(base, head),
        "refusal": comparison.refusal,
    }
    if verdicts is None:
        return shown | {"lead": [], "broken": [], "first": None, "more": None, "chart": None}
    return shown | shown_verdicts(verdicts, head.cells)


def shown_verdicts(verdicts: pd.DataFrame, cells: pd.DataFrame) -> dict[str, Any]:
    """The variables of the template for verdicts; cells: those of the head."""
    changed = verdicts[verdicts["verdict"] != "same"]
    more = len(changed) > SHOWN_FIRST
    broken = cells[cells["status"].isin(BROKEN)]
    return {
        "lead": list(_lead(verdicts)),
        "broken": list(status_lines(broken, MOST_REASONS)),
        "first": _changes(changed, SHOWN_FIRST) if len(changed) else None,
        "more": _changes(changed, SHOWN_CHANGES) if more else None,
        "chart": changes_chart(verdicts),
    }


def _lead(verdicts: pd.DataFrame) -> Iterator[str]:
    """A sentence that says whether anything got worse, then sentences about the other quantities."""
    fails = verdicts["verdict"].isin(FAILING) | ((verdicts["verdict"] == "more") & (verdicts["kind"] != INSTRUCTIONS))
    rest = counts(verdicts[~fails])
    compared = quantities_text(len(verdicts))
    if fails.any():
        yield f"{fails.sum()} of {compared} got worse: {_counted(counts(verdicts[fails]))}."
    else:
        yield f"Nothing is slower, worse or lost: {compared} {'was' if len(verdicts) == 1 else 'were'} compared."
    if undecided := rest.pop("inconclusive", 0):
        yield f"{undecided} could not be decided: {_why_undecided(verdicts)}."
    if rest:
        yield f"The others: {_counted(rest)}."


def _counted(words: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {OF_INSTRUCTIONS.get(word, word)}" for word, count in words.items())


def _why_undecided(verdicts: pd.DataFrame) -> str:
    """Why quantities are inconclusive, in words. A cell that neither side could measure has its own reason."""
    reasons = verdicts.loc[verdicts["verdict"] == "inconclusive", "reason"]
    few, unconfirmed = reasons.str.startswith(TOO_FEW), reasons.str.startswith(UNCONFIRMED)
    unsure = reasons.str.startswith(UNSURE) | (reasons == "")
    why = {
        "the interval of the change crosses the tolerance": unsure,
        "the second set of launches did not confirm the change": unconfirmed,
        f"there are {TOO_FEW}": few,
        "figures to compare are missing or NaN": ~(unsure | unconfirmed | few),
    }
    return ", or ".join(words for words, these in why.items() if these.any())


def _changes(changed: pd.DataFrame, most: int) -> Table:
    rows = [(row["verdict"], quantity_name(row), change_text(row)) for row in changed.head(most).to_dict("records")]
    shown = f"The first {most} of {len(changed)}" if len(changed) > most else "All"
    caption = f"{shown} that are not the same, the gravest first."
    return Table(caption, ("verdict", "quantity", "change"), tuple(rows))


def _sides(base: Run, head: Run) -> Table:
    """The facts in which the two sides differ."""
    return different(facts(base), facts(head))


def different(base: Mapping[str, str], head: Mapping[str, str]) -> Table:
    """The facts in which two sides differ."""
    names = [name for name in {**base, **head} if base.get(name) != head.get(name)]
    rows = tuple((name, base.get(name, "-"), head.get(name, "-")) for name in names)
    return Table("Where the two sides differ.", ("fact", "base", "head"), rows)
