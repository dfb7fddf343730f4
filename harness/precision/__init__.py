"""How far a result is from an answer: metrics, bounds, causes, selections, repeats; NumPy float64 throughout."""

from harness.precision.causes import CAUSES_METRIC
from harness.precision.metrics import METRICS
from harness.precision.repeats import repeat_metrics
from harness.precision.selection import SELECTION_METRICS


def registered_metrics() -> tuple[str, ...]:
    """The names of all metrics: of tensors, of selections, of repeats, and the one that asks for the causes."""
    return (*METRICS, *SELECTION_METRICS, *repeat_metrics(), CAUSES_METRIC)
