"""How exact the methods of a run are: the worst errors by dtype and by method, in tables and in sentences."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from markupsafe import Markup

from harness.exact.ulp import FORMATS
from harness.page.table import Table
from harness.report.closing import worst_launch
from harness.tables import Run
from harness.verdicts.fastest import BASE, relaxations
from harness.vocabulary import CAUSE, DTYPES

TENSORS = ("values", "dy", "dx", "dW", "dS")

WHY = {
    "nonfinite": "NaN or infinity spreads",
    "signed_zero": "the sign of 0 is lost",
    "flushed": "subnormal numbers become 0",
    "reduced_precision": "products are rounded to a lower precision",
    "association": "sums are taken in another order",
    "storage_accumulation": "sums are kept in the dtype of the tensors",
    "tie": "another of several equal values is picked",
    "unexplained": "nobody knows why",
}
"""Cause of a difference from native -> what it means."""

NAMED_METHODS = 4
"""Methods that differ from native and have a sentence of their own at most: the table has all of them."""


@dataclass(frozen=True)
class OfDtype:
    """The errors of one dtype against the exact answer.

    worst: tensor -> the largest relative error in the cells where no index is known to have flipped; flipped: number of
    cells in which an index flipped; known: number of cells in which flips were counted.
    """

    dtype: str
    worst: Mapping[str, float]
    flipped: int
    known: int


@dataclass(frozen=True)
class OfMethod:
    """The differences of one method from native.

    worst: tensor -> the largest relative difference; causes: cause -> number of entries that it explains.
    """

    method: str
    worst: Mapping[str, float]
    causes: Mapping[str, float]

    @property
    def largest(self) -> tuple[str, float]:
        """The tensor that differs most, and its difference. NaN counts as larger than any number."""
        return max(self.worst.items(), key=lambda item: _nan_last(item[1]))


@dataclass(frozen=True)
class Exactness:
    """Relative errors (2-norm) of a run: by dtype against the exact answer, by method against native."""

    by_dtype: Sequence[OfDtype]
    by_method: Sequence[OfMethod]


def exactness(run: Run) -> Exactness:
    """The worst errors of a run. Relaxations, which are not meant to give the exact answer, count by method alone."""
    own = worst_launch(run.discrepancies[run.discrepancies["of"] == "method"])
    exact, native = (own[own["reference"] == reference] for reference in ("exact", BASE))
    exact = exact[~exact["method"].isin(relaxations())]
    native = native[native["method"] != BASE]
    return Exactness(tuple(_by_dtype(exact)), tuple(_by_method(native)))


def _by_dtype(rows: pd.DataFrame) -> Iterator[OfDtype]:
    flips = rows[rows["metric"] == "flips"].groupby(["case", "method"])["value"].max().rename("flips")
    errors = rows[rows["metric"] == "rel_l2"].merge(flips, on=["case", "method"], how="left")
    present = set(errors["dtype"])
    for dtype in (name for name in DTYPES if name in present):
        mine = errors[errors["dtype"] == dtype]
        known = mine.drop_duplicates(["case", "method"])["flips"].dropna()
        not_flipped = ~(mine["flips"] > 0)  # not `== 0`: where flips were not counted they are NaN
        yield OfDtype(dtype, _worst(mine[not_flipped]), int((known > 0).sum()), len(known))


def _by_method(rows: pd.DataFrame) -> Iterator[OfMethod]:
    counts = rows[rows["metric"].str.startswith(CAUSE) & (rows["value"] > 0)]
    errors = rows[rows["metric"] == "rel_l2"]
    for method in errors["method"].unique():
        causes = counts[counts["method"] == method].groupby("metric", sort=False)["value"].sum()
        named = {str(name).removeprefix(CAUSE): float(count) for name, count in causes.items()}
        yield OfMethod(str(method), _worst(errors[errors["method"] == method]), named)


def _worst(errors: pd.DataFrame) -> dict[str, float]:
    """tensor -> its largest error, or NaN if one of its errors is NaN."""
    return {
        tensor: float(np.max(errors.loc[errors["tensor"] == tensor, "value"].to_numpy()))
        for tensor in TENSORS
        if (errors["tensor"] == tensor).any()
    }


def exactness_tables(worst: Exactness) -> Iterator[Table]:
    """One table with a row for each dtype, against the exact answer, and one with a row for each method, against
    native."""
    if worst.by_dtype:
        tensors = _present(worst.by_dtype)
        rows = [
            (
                of_dtype.dtype,
                f"{FORMATS[of_dtype.dtype].unit_roundoff:.1e}",
                *(_figure(of_dtype.worst, tensor) for tensor in tensors),
                f"{of_dtype.flipped} of {of_dtype.known} cells" if of_dtype.known else "not measured",
            )
            for of_dtype in worst.by_dtype
        ]
        caption = (
            "Largest relative error (2-norm) against the exact answer in the cells where no index is known to have "
            "flipped, the unit roundoff of the dtype, and the number of cells in which an index flipped."
        )
        yield Table(caption, ("dtype", "unit roundoff", *tensors, "an index flipped in"), tuple(rows))
    if worst.by_method:
        tensors = _present(worst.by_method)
        differences = [
            (method.method, *(_figure(method.worst, tensor) for tensor in tensors), _counted(method.causes) or "-")
            for method in worst.by_method
        ]
        caption = (
            "Largest relative difference (2-norm) from native over all cases (0: no entry differs), and the number of "
            "entries that differ, by cause."
        )
        yield Table(caption, ("method", *tensors, "entries that differ"), tuple(differences))


def exactness_sentences(worst: Exactness) -> Iterator[Markup]:
    """Which methods return exactly what native returns, by how much the others differ and why; then the errors by
    dtype, and where an index flipped."""
    same = [method for method in worst.by_method if all(value == 0 for value in method.worst.values())]
    others = sorted((method for method in worst.by_method if method not in same), key=_size, reverse=True)
    if same:
        verb = "returns" if len(same) == 1 else "return"
        names = _joined([Markup("<b>{}</b>").format(method.method) for method in same])
        yield Markup("{} {} the same numbers as native: {}.").format(names, verb, _tensors(same))
    for method in others[:NAMED_METHODS]:
        yield _difference(method)
    if len(others) > NAMED_METHODS:
        more = len(others) - NAMED_METHODS
        yield Markup("{} more {} from native.").format(more, "method differs" if more == 1 else "methods differ")
    if worst.by_dtype:
        yield from _against_exact(worst.by_dtype)


def _size(method: OfMethod) -> float:
    value = method.largest[1]
    return math.inf if math.isnan(value) else value


def _tensors(same: Sequence[OfMethod]) -> str:
    """'no entry of values, dx and dW differs'."""
    names = _present(same)
    return f"no entry of {_joined(list(names))} differs"


def _difference(method: OfMethod) -> Markup:
    """'fused differs from native, in dx by up to 5e-07 of its size: sums are taken in another order.'"""
    tensor, value = method.largest
    why = [WHY.get(name, name) for name in sorted(method.causes, key=lambda name: -method.causes[name])]
    size = "by NaN" if math.isnan(value) else Markup("by up to {} of its size").format(_short(value))
    sentence = Markup("<b>{}</b> differs from native, in {} {}").format(method.method, tensor, size)
    return sentence + (f": {', and '.join(why)}." if why else ".")


def _against_exact(by_dtype: Sequence[OfDtype]) -> Iterator[Markup]:
    worst = [(of.dtype, max(of.worst.values(), key=_nan_last)) for of in by_dtype if of.worst]
    if worst and all(value == 0 for _, value in worst):
        yield Markup("Where the selection is right, every tensor is the exact answer.")
    elif worst:
        sentence = Markup(
            "Where the selection is right, a tensor is off the exact answer, relative to its size, by at most {}."
        )
        yield sentence.format(_joined([Markup("{} in {}").format(_short(value), dtype) for dtype, value in worst]))
    known = [of for of in by_dtype if of.known]
    flipped = [f"{of.flipped} of {of.known} cells in {of.dtype}" for of in known if of.flipped]
    if flipped:
        yield Markup("A wrong index was selected in {}: there the gradient is far off.").format(_joined(flipped))
    elif known:
        yield Markup("No wrong index was selected in any cell.")


def _short(value: float) -> Markup:
    """The value with two digits, which a browser does not break across lines."""
    return Markup('<span class="short">{}</span>').format("NaN" if math.isnan(value) else f"{value:.2g}")


def _nan_last(value: float) -> tuple[bool, float]:
    return math.isnan(value), value


def _joined(parts: Sequence[str]) -> Markup:
    """'a, b and c'."""
    *first, last = parts
    return Markup("{} and {}").format(Markup(", ").join(first), last) if first else Markup("{}").format(last)


def _present(rows: Sequence[OfDtype] | Sequence[OfMethod]) -> tuple[str, ...]:
    return tuple(tensor for tensor in TENSORS if any(tensor in row.worst for row in rows))


def _counted(causes: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {count:.0f}" for name, count in causes.items())


def _figure(worst: Mapping[str, float], tensor: str) -> str:
    return _number(worst[tensor]) if tensor in worst else "-"


def _number(value: float) -> str:
    return "0" if value == 0 else "NaN" if math.isnan(value) else f"{value:.1e}"
