"""Metrics of a user's own package, which a study names by import path ('package.module:name')."""

from __future__ import annotations

from collections.abc import Iterable
from types import FunctionType

from harness.errors import UserError
from harness.import_paths import import_name
from harness.precision.metrics import METRICS, NEEDS, Comparison, Metric


def import_metrics(names: Iterable[str]) -> None:
    """Register every import path among the names as a metric of that name; other names are left alone.

    A metric is a function of a `Comparison` that returns a number, with the decorator of metrics.py or without. Raises
    UserError for a path that leads to nothing, to a class, or to something that cannot be called.
    """
    for name in names:
        if ":" in name and name not in METRICS:
            function = import_name("metrics", name, FunctionType)
            if not callable(function) or isinstance(function, type):
                raise UserError(f"metrics: '{name}' is not a metric: it has to be a function of a Comparison")
            METRICS[name] = _checked(name, function)
            own = getattr(function, "__name__", "")
            # Identity is compared, since a metric of another module with that name may have needs of its own.
            if METRICS.get(own) is function and own in NEEDS:
                NEEDS[name] = NEEDS[own]


def _checked(name: str, function: Metric) -> Metric:
    """The metric with its result converted to float; the TypeError for anything else names the metric."""

    def figure(compared: Comparison) -> float:
        value = function(compared)
        try:
            return float(value)
        except (TypeError, ValueError):
            raise TypeError(f"metric '{name}' has to return a number, not {type(value).__name__}") from None

    figure.__doc__ = function.__doc__  # the listing shows its first line
    return figure
