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
"""Tensors that are compared at the selected entries: where a relaxation has others, that would hide its bias."""


PARTS = {"exact": "original", "conditional": "exact"}
"""Of the total error, what is not the method's arithmetic: quantisation is exact against original, selection is
conditional against exact."""


@dataclass(frozen=True)
class Figure:
    """One row: whose error (`of`) in which tensor, against which reference, by which metric."""

    tensor: str
    of: str
    reference: str
    metric: str
    value: float


def figures(
    assessment: Assessment, tensors: Iterable[str], names: Iterable[str], metrics: Iterable[str], *, exact: bool = True
) -> Iterator[Figure]:
    """Every figure of a method: tensors x references x metrics, those that there are.

    Of one that is not exact there are fewer: a bias has no cause in the arithmetic, and dy and dW have entries that
    were not selected.
    """
    if not exact:
        tensors = [each for each in tensors if each not in OF_THE_SELECTED]
        metrics = [each for each in metrics if each != CAUSES_METRIC]
    names, metrics = list(names), list(metrics)
    compared = [tensor for tensor in tensors if tensor != "selection"]
    for name in names:
        if "selection" in tensors:
            wanted = [metric for metric in metrics if metric in SELECTION_METRICS]
            selections = assessment.selections(name, wanted)
            for metric in wanted:
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
    one, two = (assessment.references.get(each, assessment.got) for each in (of, name))
    if tensor not in one.entries:
        return
    mine = dict(zip(("got", "own_residual"), one.entries[tensor], strict=True))
    found = side_by_side(tensor, one, two, mine, dict(zip(("want", "residual"), two.entries[tensor], strict=True)))
    residual = found["residual"] - found["own_residual"]
    compared = Comparison(found["got"], found["want"], assessment.case.dtype, residual)
    yield from _evaluated(tensor, of, name, compared, metrics)


def _evaluated(tensor: str, of: str, name: str, compared: Comparison, metrics: list[str]) -> Iterator[Figure]:
    for metric in (metric for metric in metrics if metric in METRICS):
        value = evaluate(metric, compared)
        if value is not None:
            yield Figure(tensor, of, name, metric, value)


def proof_figures(after: Proof, before: Proof) -> Iterator[Figure]:
    """How many exact entries were settled by which rung of the ladder, since `before`: rows of the tensor `all`."""
    for rung in fields(Proof):
        count = getattr(after, rung.name) - getattr(before, rung.name)
        if count:
            yield Figure("all", "exact", "exact", PROVED + rung.name, float(count))


def unexplained(found: Iterable[Figure]) -> str:
    """What no cause explains, in one line, or ''."""
    left = [each for each in found if each.metric == CAUSE + UNEXPLAINED and each.value]
    return "; ".join(
        f"no cause explains {each.value:.0f} entries of {each.tensor} against {each.reference}" for each in left
    )
