"""Least squares on values that come in clusters, such as the cases of one draw."""

from __future__ import annotations

import numpy as np
from scipy import stats


def can_be_fitted(terms: np.ndarray, cluster: np.ndarray) -> bool:
    """Whether there are more clusters than terms, and no term is a linear combination of the others."""
    size = terms.shape[1]
    return bool(cluster.max() + 1 > size and np.linalg.matrix_rank(terms) == size)


def clustered(terms: np.ndarray, values: np.ndarray, cluster: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Least squares: coefficients, half widths of their 95 % intervals, and the standard deviation of the residuals.

    terms: shape (values, terms); values: shape (values,); cluster: the number of each value's cluster, from 0 on. The
    values of one cluster need not be independent. Standard errors are those of Liang and Zeger (Biometrika 73, 1986)
    with the factor for few clusters of Cameron and Miller (J. Human Resources 50, 2015). Student's t has one degree of
    freedom for each cluster beyond the terms.
    """
    count, size = terms.shape
    clusters = int(cluster.max()) + 1
    coefficients, *_ = np.linalg.lstsq(terms, values, rcond=None)
    residuals = values - terms @ coefficients
    scores = np.zeros((clusters, size))
    np.add.at(scores, cluster, terms * residuals[:, None])
    bread = np.linalg.inv(terms.T @ terms)
    few = clusters / (clusters - 1) * (count - 1) / (count - size)
    errors = np.sqrt(few * np.diag(bread @ scores.T @ scores @ bread))
    return coefficients, stats.t.ppf(0.975, clusters - size) * errors, float(residuals.std())
