"""What the judge reads of a side: the tables of a run, or of whatever else is put into the columns of cells."""

from __future__ import annotations

from typing import Protocol

import pandas as pd


class Measured(Protocol):
    """One side of a comparison."""

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
