"""Two runs, or the two sides of a duel, as the page shows them."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from harness.tables import Run


@dataclass(frozen=True)
class Comparison:
    """verdicts: of the head against the base, or None where they are not comparable, for which `refusal` is why."""

    base: Run
    head: Run
    verdicts: pd.DataFrame | None
    refusal: str = ""
