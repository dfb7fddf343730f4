"""What rows say, as numbers. `harness.verdicts(base, head)` is the judgement of two runs: the package can be called."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from harness.tables import Run


class _Verdicts(ModuleType):
    """The package under its own name, which is also that of the function that people look for."""

    def __call__(self, base: Run | str | Path, head: Run | str | Path | None = None) -> pd.DataFrame:
        """See harness.verdicts.answers.verdicts."""
        from harness.verdicts.answers import verdicts

        return verdicts(base, head)


sys.modules[__name__].__class__ = _Verdicts
