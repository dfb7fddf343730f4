"""What the judge needs from a side: tables with the columns of a run's, whatever was measured."""

from __future__ import annotations

from typing import Protocol

import pandas as pd


class Measured(Protocol):
    """One side of a comparison: a Run, or tests of a suite presented as cells."""

    @property
    def cells(self) -> pd.DataFrame: ...

    @property
    def timings(self) -> pd.DataFrame: ...

    @property
    def memory(self) -> pd.DataFrame: ...

    @property
    def discrepancies(self) -> pd.DataFrame: ...

    @property
    def instructions(self) -> pd.DataFrame: ...
