"""What speaks against the times of a run, in words: too fast to be true, contradicting each other, or noisy."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from harness.tables import Run, first_clock
from harness.verdicts.fastest import BASE
from harness.verdicts.plausible import contradicted, paces
from harness.verdicts.ratios import speedups
from harness.verdicts.wording import axes_of, case_name, two_digits
from harness.vocabulary import PACE_BOUND, YARDSTICKS

NAMED_PHASES = 3

NOISY = 0.2
"""By how much half of the speed-ups of a run must be uncertain for the run to be called noisy. It is 0.02 to 0.09 after
three launches on two quiet cores, and 0.47 beside four busy processes."""


def doubts(run: Run) -> Iterator[str]:
    """A line for each self-check that a run fails, with the worst cells; no line if all is well."""
    if run.timings.empty:
        return
    phases = paces(run.timings, run.memory)
    fast = phases[phases["pace"] > PACE_BOUND]
    if not fast.empty:
        yield (
            f"too fast to be true: {len(fast)} of {len(phases)} phases move their bytes over {PACE_BOUND} times as "
            f"fast as the better yardstick: {_worst(fast)}: a missing synchronise, work optimised away, or a nearer "
            "cache"
        )
    if len(phases) and phases["pace"].isna().all():
        yield "bytes per second: no yardstick moves about as many bytes as any phase, so no phase was checked"
    if not (against := contradicted(run.timings)).empty:
        yield (
            f"times by the device clock are longer than by the wall clock: {_worst(against)}: "
            "the wall clock did not wait for the device"
        )
    yield from _noise(run.timings)


def _noise(timings: pd.DataFrame) -> Iterator[str]:
    """A line if half of the speed-ups that have an interval are uncertain by NOISY or more."""
    found = speedups(first_clock(timings))
    wide = found.loc[~found["method"].isin((BASE, *YARDSTICKS)), ["low", "high"]].dropna()
    uncertain = float((wide["high"] / wide["low"]).median()) ** 0.5 - 1
    if uncertain >= NOISY:
        yield (
            f"noisy: half of the {len(wide)} speed-ups are uncertain by {100 * uncertain:.0f} % or more. If the "
            "machine is busy (`harness doctor` looks), measure again when it is not, or with more --launches"
        )


def _worst(rows: pd.DataFrame) -> str:
    worst = rows.sort_values("pace", ascending=False).head(NAMED_PHASES).to_dict("records")
    named = [
        f"{row['method']} {case_name(axes_of(row, 'phase'))}, {row['phase']} ({two_digits(row['pace'])}x)"
        for row in worst
    ]
    return "; ".join(named) + (f"; and {len(rows) - len(named)} more" if len(rows) > len(named) else "")
