"""The variance between runs of the same code, pooled over quantities: a few runs alone know it too badly.

An empirical Bayes estimate, as limma has it for genes (Smyth 2004, doi:10.2202/1544-6115.1027): the variance of a
quantity is shrunk towards what the quantities have in common, by as many degrees of freedom as these agree among
themselves.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import optimize, special

MOST_FREEDOM = 40.0
"""Degrees of freedom that the other quantities may add at most, however alike their variances are: more would hardly
lower the threshold, and the variances of a hundred quantities never agree altogether."""

SHARED = 0.3
"""Squared correlation of two quantities of a case, which share its yardstick: over the launches of the committed runs
of regression, smoke, speed and workloads it is 0.27, 0.15, 0.27 and 0.23. Variances of normal variables are correlated
by the square of what the variables are."""


def pooled_variances(
    between: pd.Series, within: pd.Series, runs: pd.Series, rows: pd.DataFrame
) -> tuple[pd.Series, pd.Series]:
    """Per quantity the variance of one run's mean, and its degrees of freedom.

    between: the variance of the means of `runs` runs; within: what the spread of the launches of one run alone says of
    it, which is well known. rows: `kind case`; each kind is pooled by itself. What launches do not explain is taken to
    be one variance for all quantities of a kind: V = common + within.
    """
    variances, freedoms = between.astype(float).copy(), runs - 1.0
    for _, of_kind in rows.groupby("kind", sort=False):
        chosen = of_kind.index
        own_freedom = float(runs[chosen].min() - 1)
        expected = within[chosen] + _common(between[chosen], within[chosen])
        times = (between[chosen] / expected).where(expected > 0, 1.0)
        others = own_freedom * (_independent(of_kind["case"]) - 1)
        prior = min(MOST_FREEDOM, others, _prior_freedom(times.to_numpy(), own_freedom))
        shrunk = expected * (prior + own_freedom * times) / (prior + own_freedom)
        variances[chosen] = np.maximum(shrunk, within[chosen])
        freedoms[chosen] = own_freedom + prior
    return variances, freedoms


def _independent(cases: pd.Series) -> float:
    """How many independent quantities know as much of a variance as these, of which those of a case are correlated."""
    sizes = cases.value_counts().to_numpy(dtype=float)
    return float(np.sum(sizes / (1 + (sizes - 1) * SHARED)))


def _common(between: pd.Series, within: pd.Series) -> float:
    """The variance beside that of the launches for which `between` is what is expected, on the average."""
    known = np.isfinite(between) & np.isfinite(within)
    seen, explained = between[known].to_numpy(dtype=float), within[known].to_numpy(dtype=float)
    most = float(seen.max(initial=0.0))

    def surplus(common: float) -> float:
        expected = common + explained
        ratios = np.divide(seen, expected, out=np.zeros_like(seen), where=expected > 0)
        return float(np.mean(ratios)) - 1 if len(ratios) else -1.0

    least = most * 1e-9
    if most == 0 or surplus(least) <= 0:
        return 0.0
    return float(optimize.brentq(surplus, least, most, xtol=least))


def _prior_freedom(times: np.ndarray, own_freedom: float) -> float:
    """How many degrees of freedom the other quantities are worth: by how much the logarithms of the estimated variances
    spread more than estimates of one variance do (Smyth 2004, section 6.2). Infinite where they do not."""
    known = times[np.isfinite(times) & (times > 0)]
    if len(known) < 2:
        return 0.0
    beyond = float(np.var(np.log(known), ddof=1)) - float(special.polygamma(1, own_freedom / 2))
    if beyond <= 0:
        return np.inf
    most = float(special.polygamma(1, MOST_FREEDOM / 2))
    if beyond <= most:
        return np.inf
    return 2 * float(optimize.brentq(lambda half: special.polygamma(1, half) - beyond, 1e-3, MOST_FREEDOM / 2))
