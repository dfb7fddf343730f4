"""Pools the variance between runs of the same code over quantities: a few runs alone determine it too poorly.

This is an empirical Bayes estimate, like limma's for genes (Smyth 2004, doi:10.2202/1544-6115.1027). The variance of a
quantity is shrunk towards what the quantities have in common, the more strongly the better they agree.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import scipy  # whose part optimize is imported by its first use, since that takes half a second
from scipy import special

MOST_FREEDOM = 40.0
"""The most degrees of freedom that the other quantities may add, however alike their variances are. More would hardly
lower the threshold, and the variances of a hundred quantities never agree completely."""

SHARED = 0.3
"""Squared correlation of two quantities of a case, which share its yardstick. Over the launches of the committed runs
of regression, smoke, speed and workloads it is 0.27, 0.15, 0.27 and 0.23. It is the correlation of the two variances:
for normal variables that is the square of their own."""


def pooled_variances(
    between: pd.Series, within: pd.Series, runs: pd.Series, rows: pd.DataFrame
) -> tuple[pd.Series, pd.Series]:
    """Per quantity: the variance of one run's mean, and its degrees of freedom.

    between: the variance of the means of `runs` runs, NaN for one; within: the variance of one run's mean as estimated
    from the spread of its launches, which is well determined; rows: columns `kind case`. Each kind is pooled alone. The
    model is V = common + within: the part that launches do not explain is one variance for all quantities of a kind.
    For a quantity that only one run has, the others alone say how runs vary.
    """
    variances, freedoms = between.astype(float).copy(), runs - 1.0
    for _, of_kind in rows.groupby("kind", sort=False):
        chosen = of_kind.index
        several = chosen[runs[chosen] > 1]
        own_freedom = float(runs[several].min() - 1)
        expected = within[chosen] + _common(between[chosen], within[chosen])
        ratios = (between[chosen] / expected).where(expected > 0, 1.0)
        others = own_freedom * (_independent(of_kind["case"]) - 1)
        prior = min(MOST_FREEDOM, others, _prior_freedom(ratios[several].to_numpy(), own_freedom))
        own = own_freedom * (runs[chosen] > 1)
        shrunk = expected * (prior + own * ratios.fillna(0.0)) / (prior + own)
        variances[chosen] = np.maximum(shrunk, within[chosen])  # runs cannot vary less than their own launches say
        freedoms[chosen] = own + prior
    return variances, freedoms


def _independent(cases: pd.Series) -> float:
    """The effective number of independent quantities: those of one case are correlated by SHARED.

    Each case counts its size divided by Kish's design effect for clusters (1965), 1 + (size - 1) SHARED.
    """
    sizes = cases.value_counts().to_numpy(dtype=float)
    return float(np.sum(sizes / (1 + (sizes - 1) * SHARED)))


def _common(between: pd.Series, within: pd.Series) -> float:
    """The common variance for which between / (common + within) is 1 on average, found by Brent's method; 0 if none."""
    known = np.isfinite(between) & np.isfinite(within)
    seen, explained = between[known].to_numpy(dtype=float), within[known].to_numpy(dtype=float)
    most = float(seen.max(initial=0.0))

    def surplus(common: float) -> float:
        expected = common + explained
        ratios = np.divide(seen, expected, out=np.zeros_like(seen), where=expected > 0)
        return float(np.mean(ratios)) - 1 if len(ratios) else -1.0

    least = most * 1e-9
    if most == 0 or surplus(least) <= 0:
        return 0.0  # the spread of the launches explains the spread of the runs
    return float(scipy.optimize.brentq(surplus, least, most, xtol=least))


def _prior_freedom(ratios: np.ndarray, own_freedom: float) -> float:
    """How many degrees of freedom the other quantities contribute (Smyth 2004, section 6.2).

    ratios: estimated over expected variances. The more their logarithms spread beyond the spread of estimates of a
    single variance, the fewer. Infinite if they do not spread more.
    """
    known = ratios[np.isfinite(ratios) & (ratios > 0)]
    if len(known) < 2:
        return 0.0
    # The logarithm of a variance estimated with f degrees of freedom has the variance trigamma(f / 2).
    beyond = float(np.var(np.log(known), ddof=1)) - float(special.polygamma(1, own_freedom / 2))
    if beyond <= 0:
        return np.inf
    most = float(special.polygamma(1, MOST_FREEDOM / 2))
    if beyond <= most:
        return np.inf  # at least MOST_FREEDOM, to which the caller cuts it
    # trigamma(1e-3) is a million, which no variance of logarithms reaches, so the two ends enclose the root.
    return 2 * float(scipy.optimize.brentq(lambda half: special.polygamma(1, half) - beyond, 1e-3, MOST_FREEDOM / 2))
