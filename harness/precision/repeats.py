"""Does the same call give the same bits again? Figures of a call beside its repeat, not beside a reference."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from harness.exact.ulp import ulp_error


@dataclass(frozen=True)
class Repeat:
    """The entries of one tensor in a call and in its repeat, flat and of one length.

    first, again: float64. alike: whether the bits are the same. dtype: the format whose ulps count. For a selection the
    bits are those of the indices, and the numbers are the values at them.
    """

    first: np.ndarray
    again: np.ndarray
    alike: np.ndarray
    dtype: str


RepeatMetric = Callable[[Repeat], float]
REPEAT_METRICS: dict[str, RepeatMetric] = {}
WORST: dict[str, Callable[[float, float], float]] = {}
"""metric -> which of the figures of two repeats is reported: min or max."""


def repeat_metric(worst: Callable[[float, float], float]) -> Callable[[RepeatMetric], RepeatMetric]:
    """Register a metric of one repeat under the name of its function."""

    def register(function: RepeatMetric) -> RepeatMetric:
        REPEAT_METRICS[function.__name__], WORST[function.__name__] = function, worst
        return function

    return register


@repeat_metric(worst=min)
def repeat_equal_share(r: Repeat) -> float:
    """Share of entries that have the same bits when the call is repeated in the process, the smallest over repeats."""
    return float(np.mean(r.alike)) if r.alike.size else float("nan")


@repeat_metric(worst=max)
def repeat_ulp_max(r: Repeat) -> float:
    """Largest distance in ulps between an entry and the same entry when the call is repeated in the process."""
    unlike = ~r.alike
    return float(np.max(ulp_error(r.again[unlike], r.first[unlike], r.dtype), initial=0.0))


DIGEST = "repeat_digest"
DIGEST_SUMMARY = "A digest of the bits of a tensor: launches with the same number have the same bits."
"""Launches are compared by this figure, because no launch has the tensors of another."""


def repeat_metrics() -> tuple[str, ...]:
    """The names of all metrics of repeats that a study can ask for."""
    return (*REPEAT_METRICS, DIGEST)
