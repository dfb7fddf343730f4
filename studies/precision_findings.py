"""The findings of `precision` in sentences."""

from __future__ import annotations

from collections.abc import Iterator

import native_errors
import numpy as np
import shares
import style
from scipy import stats

from harness.tables import Run
from harness.vocabulary import DTYPES


def summary(run: Run) -> Iterator[str]:
    """Whether the methods agree, the error of each dtype, and the law of its growth beside the data."""
    yield from _equal_bits(run)
    yield from _cost_of_dtypes(run)
    yield from _flips(run)
    yield "Law: dx = Wᵀ Sᵀ g has k nonzero terms, so its relative error should not grow with n at fixed k and d."
    exponents = native_errors.fitted_exponents(run)
    for dtype in style.present_dtypes(run.discrepancies["dtype"]):
        here = exponents[exponents["dtype"] == dtype]
        if here.empty:
            yield f"Data: {dtype}: no exponent: too few draws of W and x whose selection is right, or one n, k and d."
            continue
        powers = ", ".join(f"{r.axis} {r.exponent:+.2f} ({r.low:+.2f}..{r.high:+.2f})" for r in here.itertuples())
        spread, draws = here[["spread", "draws"]].iloc[0]
        yield (
            f"Data: {dtype}: exponents of the error of dx, 95 %, {draws:.0f} draws of W and x: {powers}; "
            f"residual spread x{spread:.2f}."
        )
    yield from _bounds_and_ulps(run)
    causes = run.discrepancies[run.discrepancies["metric"].str.startswith("cause_")]
    counts = causes.groupby(["reference", "metric"])["value"].sum()
    for reference in counts.index.unique(level=0):
        own = counts[reference].items()
        by_cause = ", ".join(f"{str(name).removeprefix('cause_')} {value:.0f}" for name, value in own)
        yield f"Entries that differ from {reference}, by cause: {by_cause}."


def _flips(run: Run) -> Iterator[str]:
    rows = native_errors.flipped(run)
    for dtype in style.present_dtypes(rows["dtype"]):
        flipped = rows.loc[rows["dtype"] == dtype, "flipped"]
        share = shares.in_words(int(flipped.sum()), len(flipped), "cases")
        yield f"{dtype}: rounding changed what native selects in {share}."


def _bounds_and_ulps(run: Run) -> Iterator[str]:
    rows = run.discrepancies.query("reference == 'conditional' and of == 'method'")
    for metric, name in (("bound_ratio_max", "deterministic"), ("probable_ratio_max", "probabilistic")):
        ratios = rows[rows["metric"] == metric]
        largest = ", ".join(f"{dtype} {value:.2g}" for dtype, value in ratios.groupby("dtype")["value"].max().items())
        beyond = f"beyond it in {int((ratios['value'] > 1).sum())} of {len(ratios)}"
        yield f"Largest error over its {name} bound, all methods and tensors: {largest}; {beyond}."
    two_ways = native_errors.values_two_ways(run)
    for measure, here in two_ways.groupby("measure"):
        medians = ", ".join(f"{dtype} {value:.2g}" for dtype, value in here.groupby("dtype")["value"].median().items())
        yield f"Largest error of native's values, {measure}, median over {here['case'].nunique()} cases: {medians}."
    for tensor, here in rows[rows["metric"] == "ulp_max"].groupby("tensor"):
        largest = ", ".join(f"{dtype} {value:.3g}" for dtype, value in here.groupby("dtype")["value"].max().items())
        yield f"Largest error of {tensor} in ulps of the exact answer: {largest}."


def _equal_bits(run: Run) -> Iterator[str]:
    rows = run.discrepancies.query("metric == 'bit_equal_share' and reference == 'native' and method != 'native'")
    for method, here in rows.groupby("method", sort=False):
        equal, least = int((here["value"] == 1).sum()), here["value"].min()
        tensors = ", ".join(tensor for tensor in native_errors.TENSORS_OF_AGREEMENT if tensor in set(here["tensor"]))
        less = "" if equal == len(here) else f", at least {least:.3f} of the entries in the others"
        yield f"{method}: the bits of native in every entry in {equal} of {len(here)} comparisons ({tensors}){less}."


def _cost_of_dtypes(run: Run) -> Iterator[str]:
    """The error of native's dx where the selection is right: its geometric mean, with a t interval over draws.

    The cases of one draw, which share W and x, are averaged first, because they are not independent.
    """
    errors = {reference: native_errors.errors(run, reference, "rel_l2") for reference in ("exact", "original")}
    for dtype in DTYPES:
        by_reference = []
        for reference, rows in errors.items():
            here = rows[
                (rows["dtype"] == dtype) & (rows["tensor"] == "dx") & (rows["selection"] == native_errors.SELECTIONS[0])
            ]
            here = here[here["value"] > 0]
            logs = here.assign(log=np.log(here["value"])).groupby(native_errors.DRAW)["log"].mean()
            if len(logs) < 2:
                continue
            half = stats.t.ppf(0.975, len(logs) - 1) * logs.std() / np.sqrt(len(logs))
            middle, low, high = np.exp([logs.mean(), logs.mean() - half, logs.mean() + half])
            u = style.UNIT_ROUNDOFF[dtype]
            by_reference.append(
                f"against {reference} {middle:.2g} (95 % {low:.2g}..{high:.2g}, {len(logs)} draws of W and x), "
                f"{middle / u:.2g} unit roundoffs"
            )
        if by_reference:
            yield f"{dtype}: relative error of dx where no index flipped: {'; '.join(by_reference)}."
