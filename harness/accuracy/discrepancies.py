"""How far a method's values, gradients and selection are from each reference: the rows of discrepancies.csv."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields

from harness.accuracy.assessment import Assessment
from harness.accuracy.side_by_side import side_by_side
from harness.exact.certified import Proof
from harness.precision.causes import CAUSES_METRIC, UNEXPLAINED, explain
from harness.precision.metrics import METRICS, Comparison, evaluate
from harness.precision.selection import SELECTION_METRICS
from harness.vocabulary import CAUSE, PROVED

OF_THE_SELECTED = ("dy", "dW")
"""Tensors that are compared at the selected entries only: a relaxation has others, and its bias would not show."""

PARTS = {"exact": "original", "conditional": "exact"}
"""The parts of the total error that are not the method's arithmetic: exact against original is quantisation,
conditional against exact is selection."""


@dataclass(frozen=True)
class Figure:
    """One row of discrepancies.csv: whose error (`of`: the method, or a reference) in which tensor, against which
    reference, by which metric."""

    tensor: str
    of: str
    reference: str
    metric: str
    value: float


def figures(
    assessment: Assessment, tensors: Iterable[str], names: Iterable[str], metrics: Iterable[str], *, exact: bool = True
) -> Iterator[Figure]:
    """Every figure of a method: tensors x references x metrics, as far as they exist. names: of the references.

    A relaxation (not exact) has fewer: its bias has no cause in the arithmetic, and its dy and dW are not zero where
    nothing was selected.
    """
    if not exact:
        tensors = [tensor for tensor in tensors if tensor not in OF_THE_SELECTED]
        metrics = [metric for metric in metrics if metric != CAUSES_METRIC]
    names, metrics = list(names), list(metrics)
    compared = [tensor for tensor in tensors if tensor != "selection"]
    for name in names:
        if "selection" in tensors:
            of_selections = [metric for metric in metrics if metric in SELECTION_METRICS]
            selections = assessment.selections(name, of_selections)
            for metric in of_selections:
                yield Figure("selection", "method", name, metric, SELECTION_METRICS[metric](selections))
        for tensor in compared:
            yield from _tensor_figures(assessment, tensor, name, metrics)
    for of, name in PARTS.items():
        if of in names and name in names:
            for tensor in compared:
                yield from _part_figures(assessment, tensor, of, name, metrics)


def _tensor_figures(assessment: Assessment, tensor: str, name: str, metrics: list[str]) -> Iterator[Figure]:
    compared = assessment.comparison(tensor, name, metrics)
    if compared is None:
        return
    yield from _evaluated(tensor, "method", name, compared, metrics)
    if CAUSES_METRIC in metrics:
        entries = assessment.entries(tensor, name, compared.got, compared.want)
        for cause, count in (explain(entries) if entries else {UNEXPLAINED: 0}).items():
            if count or cause == UNEXPLAINED:
                yield Figure(tensor, "method", name, CAUSE + cause, float(count))


def _part_figures(assessment: Assessment, tensor: str, of: str, name: str, metrics: list[str]) -> Iterator[Figure]:
    """One reference beside another: what the selection, or the cast, adds to the error."""
    own, other = (assessment.references.get(reference, assessment.got) for reference in (of, name))
    if tensor not in own.entries:
        return
    mine = dict(zip(("got", "got_residual"), own.entries[tensor], strict=True))
    theirs = dict(zip(("want", "residual"), other.entries[tensor], strict=True))
    both = side_by_side(tensor, own, other, mine, theirs)
    compared = Comparison(
        both["got"], both["want"], assessment.case.dtype, both["residual"], got_residual=both["got_residual"]
    )
    yield from _evaluated(tensor, of, name, compared, metrics)


def _evaluated(tensor: str, of: str, name: str, compared: Comparison, metrics: list[str]) -> Iterator[Figure]:
    for metric in (metric for metric in metrics if metric in METRICS):
        value = evaluate(metric, compared)
        if value is not None:
            yield Figure(tensor, of, name, metric, value)


def proof_figures(after: Proof, before: Proof) -> Iterator[Figure]:
    """How many exact entries each rung of the ladder settled since `before`; these rows have the tensor `all`."""
    for rung in fields(Proof):
        count = getattr(after, rung.name) - getattr(before, rung.name)
        if count:
            yield Figure("all", "exact", "exact", PROVED + rung.name, float(count))


def unexplained(rows: Iterable[Figure]) -> str:
    """In one line, how many entries no cause explains; '' where every entry has one."""
    left = [row for row in rows if row.metric == CAUSE + UNEXPLAINED and row.value]
    return "; ".join(
        f"no cause explains {row.value:.0f} entries of {row.tensor} against {row.reference}" for row in left
    )
