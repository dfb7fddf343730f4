"""Answers for programs: which method is fastest in each case of a run, and what changed between two runs."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from harness.errors import UserError
from harness.tables import (
    BASE,
    HEAD,
    Run,
    has_verdicts,
    is_suite_duel,
    of_one_machine,
    read,
    read_suite_verdicts,
    read_verdicts,
)
from harness.verdicts.comparison import compare_verdicts, gate_of
from harness.verdicts.fastest import fastest
from harness.verdicts.plausible import believed


def answer(run: Run | str | Path) -> pd.DataFrame:
    """Which method to take: a row for each case and phase of a run (or of the run in a folder) that allows an answer.

    Columns: the key of every table; `phase clock`; `fastest`, the fastest method, or all that cannot be told apart,
    joined by ' or '; then of the one of them that looks fastest `speedup low high` over native (intervals that hold
    simultaneously with 95 % for all methods of a case), `launches` and `standing`. The fastest is native unless another
    method is surely faster. Without at least 3 launches there is no row. Raises UserError if several machines measured
    the run, or if a table cannot be read.
    """
    return fastest(believed(of_one_machine(_run(run))))


def verdicts(base: Run | str | Path, head: Run | str | Path | None = None) -> pd.DataFrame:
    """What changed from one run to another, or in a duel: a row for each quantity, as in verdicts.csv.

    base, head: two runs or their folders, which are compared; or the folder of a duel as `base` alone, or the two sides
    of one duel, whose verdicts are read (of a pytest suite, a row for each test). Raises UserError if the runs are not
    comparable, or if a folder has no run.
    """
    if head is None:
        folder = base.path if isinstance(base, Run) else Path(base)
        return read_suite_verdicts(folder) if is_suite_duel(folder) else read_verdicts(folder)
    one, two = of_one_machine(_run(base)), of_one_machine(_run(head))
    duel = two.path.parent
    if (one.path.resolve(), two.path.resolve()) == ((duel / BASE).resolve(), (duel / HEAD).resolve()):
        if not has_verdicts(duel):
            raise UserError(f"{duel}: this duel has not ended, so it has no verdicts")
        return read_verdicts(duel)
    return compare_verdicts([one], two, gate_of(two))


def _run(run: Run | str | Path) -> Run:
    return run if isinstance(run, Run) else read(run)
