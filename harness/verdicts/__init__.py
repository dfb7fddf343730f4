"""Turns rows into ratios, answers and verdicts. The package can be called: `harness.verdicts(base, head)`."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from harness.tables import Run


class _Verdicts(ModuleType):
    """A package that can be called: people look for a function of that name."""

    def __call__(self, base: Run | str | Path, head: Run | str | Path | None = None) -> pd.DataFrame:
        """See harness.verdicts.answers.verdicts."""
        from harness.verdicts.answers import verdicts

        return verdicts(base, head)


sys.modules[__name__].__class__ = _Verdicts
