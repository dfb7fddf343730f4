"""The errors of native in a run of `precision`, and by which power of a size they grow."""

from __future__ import annotations

import fits
import numpy as np
import pandas as pd

from harness.tables import Run

TENSORS = ("values", "dx", "dW")
TENSORS_OF_AGREEMENT = ("values", "dy", "dx", "dW", "dS")
GROWTHS = ("n", "k", "d")
"""Sizes with which the error may grow."""

DRAW = ["distribution", "n", "d", "rows", "seed"]
"""Axes that determine W and x: cases with the same values of these, such as two values of k, share the same numbers."""

MEASURES = {"ulp_max": "ulps of the dtype", "component_max": "relative to |W||x|"}
"""Metric of the values -> its name in words."""

SELECTIONS = ("the selection is right", "at least one index flipped")


def errors(run: Run, reference: str, metric: str) -> pd.DataFrame:
    """A metric of native's tensors against a reference, with a column `selection`, one of SELECTIONS."""
    rows = of_native(run.discrepancies.query(f"reference == '{reference}' and of == 'method'"))
    flips = rows[rows["metric"] == "flips"].set_index("case")["value"]
    chosen = rows[(rows["metric"] == metric) & rows["tensor"].isin(TENSORS)]
    right = chosen["case"].map(flips) == 0
    return chosen.assign(selection=right.map({True: SELECTIONS[0], False: SELECTIONS[1]}))


def of_native(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["method"] == "native"]


def fitted_exponents(run: Run) -> pd.DataFrame:
    """log(error of dx) = a + b log n + c log k + e log d by least squares: exponents b, c, e and their 95 % intervals.

    Columns: `dtype axis exponent low high spread draws`, where spread is the typical factor between an error and the
    fit. Cases of several k share one draw of W and x, so the draws are the clusters. An axis with one value has no
    exponent, and a dtype with no more draws than terms has none at all.
    """
    rows = of_native(run.discrepancies.query("reference == 'exact' and of == 'method'"))
    flips = rows[rows["metric"] == "flips"].set_index("case")["value"]
    chosen = rows[(rows["tensor"] == "dx") & (rows["metric"] == "rel_l2") & (rows["value"] > 0)]
    chosen = chosen[chosen["case"].map(flips) == 0]
    found = []
    for dtype, here in chosen.groupby("dtype"):
        axes = [axis for axis in GROWTHS if here[axis].nunique() > 1]
        terms = np.column_stack([np.ones(len(here)), *(np.log(here[axis]) for axis in axes)])
        draw = here.groupby(DRAW).ngroup().to_numpy()
        if not fits.can_be_fitted(terms, draw):
            continue
        exponents, halves, spread = fits.clustered(terms, np.log(here["value"].to_numpy()), draw)
        same = {"dtype": dtype, "spread": np.exp(spread), "draws": draw.max() + 1}
        found += [
            same | {"axis": axis, "exponent": b, "low": b - half, "high": b + half}
            for axis, b, half in zip(axes, exponents[1:], halves[1:], strict=True)
        ]
    return pd.DataFrame(found, columns=["dtype", "axis", "exponent", "low", "high", "spread", "draws"])


def values_two_ways(run: Run) -> pd.DataFrame:
    """The largest error of native's values in each case, in ulps and relative to |W||x|, told apart by `measure`."""
    rows = of_native(run.discrepancies.query("reference == 'conditional' and of == 'method' and tensor == 'values'"))
    return rows[rows["metric"].isin(MEASURES)].assign(measure=rows["metric"].map(MEASURES))


def flipped(run: Run) -> pd.DataFrame:
    """One row for each case of native; column `flipped` says whether at least one index flipped."""
    rows = of_native(run.discrepancies.query("metric == 'flips' and reference == 'exact' and of == 'method'"))
    return rows.assign(flipped=rows["value"] > 0)
