"""A metric of this package: a study names it `topk_by_parts.metrics:ulp_median`."""

import numpy as np

from harness.precision.metrics import Comparison


def ulp_median(c: Comparison) -> float:
    """Median of the errors in ulps."""
    return float(np.median(c.ulps))
