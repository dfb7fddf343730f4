"""What an error is: units in the last place, metrics, selections and references. NumPy float64 throughout."""

from harness.precision.metrics import METRICS
from harness.precision.selection import SELECTION_METRICS


def registered_metrics() -> tuple[str, ...]:
    """The names of all metrics, of tensors and of selections."""
    return (*METRICS, *SELECTION_METRICS)
