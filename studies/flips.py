"""The laws of a flip, of a tie group and of the jump of a gradient, and the cases of a run beside them.

Flips. Near the threshold the scores lie like the points of a Poisson process of density n f(q), where f is the density
of a score and q its upper k/n quantile. An error of standard deviation err flips an index when it bridges the first
gap. So with the rate r = n f(q) err the probability of a flip is 1 - exp(-c r). For errors that are independent from
score to score, c = E max(0, e - e') / err = 1 / sqrt(pi) = 0.56 (normal errors). A rounding that keeps the order only
makes ties, half of which are resolved wrongly: then c = sqrt(12) / 4 = 0.87.

Gradients. f flips exchange f scores near q for as many others near q, so dy and dW are off by sqrt(2 f) |g_q| / ||g||.
dx = Wᵀ g is off by less, even if W has zero mean, because a selected row of W is aligned with x. Given its score v, a
row with mean m and entries of variance s² is m + (v - mean v) x / |x|² plus a rest of d - 1 independent directions of
variance s². The first part adds up over the selected rows and hardly changes in an exchange; the rest does not add up,
and changes.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
from scipy import optimize, stats

from harness.exact.ulp import ulp
from harness.tables import Run

INDEPENDENT = 1 / np.sqrt(np.pi)
MONOTONE = np.sqrt(12) / 4

CONSTANTS = {False: MONOTONE, True: INDEPENDENT}
"""d > 0 -> the c that the law predicts: a cast keeps the order, and the errors of sums are independent."""


def cases_of_law(run: Run) -> pd.DataFrame:
    """The cases whose scores have a density in closed form, one row each: the key of the case, its metrics of the
    selection (among them `flips` and `tie_group`), `threshold` q, its `spacing` (one ulp), `rate` r, `expected_group`.

    A selection of y = W x is compared with exact, and one of a cast of y with original.
    """
    rows = run.discrepancies.query("of == 'method'")
    chosen = rows[(rows["tensor"] == "selection") & (rows["reference"] == np.where(rows["d"] > 0, "exact", "original"))]
    key = ["case", "dtype", "n", "k", "d", "distribution", "seed"]
    cases = chosen.pivot(index=key, columns="metric", values="value").reset_index()
    cases = cases[(cases["d"] == 0) | (cases["distribution"] != "heavy_tailed")]  # that product has no closed form
    thresholds = [_threshold(*row) for row in cases[["n", "k", "d", "distribution"]].to_numpy()]
    threshold, density = np.array(thresholds, dtype=float).reshape(-1, 2).T
    spacing = [float(ulp(np.array([q]), dtype)[0]) for q, dtype in zip(threshold, cases["dtype"], strict=True)]
    cases = cases.assign(threshold=threshold, spacing=np.array(spacing, dtype=float))
    measured = rows.query("tensor == 'values' and reference == 'conditional' and metric == 'rmse'")
    typical = measured.groupby(["dtype", "n", "k", "d", "distribution"])["value"].median().rename("rmse")
    cases = cases.merge(typical.reset_index(), how="left")
    # A cast errs uniformly within one spacing, whose standard deviation is spacing / sqrt(12).
    error = np.where(cases["d"] == 0, cases["spacing"] / np.sqrt(12), cases["rmse"])
    crowd = cases["n"] * density
    return cases.assign(rate=crowd * error, expected_group=1 + crowd * cases["spacing"])


@cache  # the same for every seed, and slow
def _threshold(n: int, k: int, d: int, distribution: str) -> tuple[float, float]:
    """The upper k/n quantile of a score, and its density there."""
    if d == 0:
        score = {"normal": stats.norm(), "uniform": stats.uniform(), "heavy_tailed": stats.t(2)}[distribution]
    elif distribution == "normal":
        score = stats.norm()  # W x with W of variance 1/d, given |x|² = d
    else:
        score = stats.norm(0.25, 1 / (6 * np.sqrt(d)))  # the mean of d products U x, by the central limit theorem
    q = float(score.isf((k + 0.5) / (n + 1)))  # halfway between the mean ranks of the last selected and the next score
    return q, float(score.pdf(q))


def fitted(rate: np.ndarray, flipped: np.ndarray) -> tuple[float, float, float]:
    """c of 1 - exp(-c r) by maximum likelihood, and the ends of its 95 % interval by the likelihood ratio (Wilks 1938).

    rate: r of each case; flipped: whether it flipped. Where all cases flipped the interval has no upper end, and where
    none did no lower one.
    """

    def loss(log_c: float) -> float:
        expected = np.clip(-np.expm1(-np.exp(log_c) * rate), 1e-12, 1 - 1e-12)
        return float(-np.sum(np.where(flipped, np.log(expected), np.log1p(-expected))))

    best = optimize.minimize_scalar(loss, bounds=(-6, 6), method="bounded")
    level = best.fun + stats.chi2.ppf(0.95, 1) / 2

    def end(outermost: float) -> float:
        if loss(outermost) <= level:
            return float(np.copysign(np.inf, outermost))
        return float(optimize.brentq(lambda at: loss(at) - level, outermost, float(best.x)))

    return float(np.exp(best.x)), float(np.exp(end(-12.0))), float(np.exp(end(12.0)))


def jumps(run: Run) -> pd.DataFrame:
    """The errors of dy, dx and dW of y = W x where an index flipped, for distributions with (nearly) normal scores.

    New columns: `flips`; `of_dy`, the law of dy and dW; `predicted`, the law of the row's tensor.
    """
    rows = run.discrepancies.query(
        "of == 'method' and reference == 'exact' and d > 0 and distribution != 'heavy_tailed'"
    )
    flips = rows[rows["metric"] == "flips"].set_index("case")["value"]
    errors = rows[(rows["metric"] == "rel_l2") & rows["tensor"].isin(("dy", "dx", "dW"))]
    errors = errors.assign(flips=errors["case"].map(flips)).query("flips > 0")
    laws = [_laws(*point) for point in errors[["n", "k", "d", "distribution"]].to_numpy()]
    of_dy, of_dx = np.array(laws, dtype=float).reshape(-1, 2).T * np.sqrt(2 * errors["flips"].to_numpy(dtype=float))
    return errors.assign(of_dy=of_dy, predicted=np.where(errors["tensor"] == "dx", of_dx, of_dy))


def _laws(n: int, k: int, d: int, distribution: str) -> tuple[float, float]:
    """The relative errors of dy and of dx over sqrt(2 f), from the moments of normal scores above the threshold."""
    normal = distribution == "normal"
    mean, spread = (0.0, 1.0) if normal else (0.25, 1 / (6 * np.sqrt(d)))  # of the scores
    row_mean, row_variance = (0.0, 1 / d) if normal else (0.5 / d, 1 / (12 * d**2))  # of the entries of W
    x_size, x_sum = (d, 0.0) if normal else (d / 3, d / 2)  # |x|² and the sum of x
    z = float(stats.norm.isf((k + 0.5) / (n + 1)))
    hazard = float(stats.norm.pdf(z) / stats.norm.sf(z))
    first, second = mean + spread * hazard, mean**2 + 2 * mean * spread * hazard + spread**2 * (1 + z * hazard)
    threshold, total = mean + spread * z, k * second  # g / 2 at the threshold, and ||g / 2||²
    level, tilt = k * first, k * (second - mean * first)
    coherent = d * (row_mean * level) ** 2 + 2 * row_mean * level * tilt * x_sum / x_size + tilt**2 / x_size
    rest = row_variance * (d - 1)
    return float(threshold / np.sqrt(total)), float(threshold * np.sqrt(rest / (coherent + rest * total)))
