"""What a judged run says on a terminal: the counts, then what is not the same, the gravest first."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from harness.verdicts.wording import change_text, counts_text, quantity_name

SHOWN = 20


def judgement_lines(verdicts: pd.DataFrame) -> Iterator[str]:
    """A line of counts and a line a quantity that is not the same, at most SHOWN."""
    yield counts_text(verdicts)
    changed = verdicts[verdicts["verdict"] != "same"]
    for row in changed.head(SHOWN).to_dict("records"):
        yield f"{row['verdict']:12} {quantity_name(row)}: {change_text(row)}"
    if len(changed) > SHOWN:
        yield f"... and {len(changed) - SHOWN} more: in verdicts.csv of a duel, and in history.csv"
