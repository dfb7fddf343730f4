"""How exact the methods of a run are: the worst errors by dtype and by method, as tables and in sentences."""

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
"""What the cause of a difference from native means."""

NAMED_METHODS = 4
"""Of those that differ from native: the table has all of them."""


@dataclass(frozen=True)
class OfDtype:
    """worst: tensor -> the largest relative error against the exact answer where no index is known to have flipped;
    flipped: in how many cells one did; known: of how many cells that is known."""

    dtype: str
    worst: Mapping[str, float]
    flipped: int
    known: int


@dataclass(frozen=True)
class OfMethod:
    """worst: tensor -> the largest relative difference from native; causes: cause -> how many entries it explains."""

    method: str
    worst: Mapping[str, float]
    causes: Mapping[str, float]

    @property
    def largest(self) -> tuple[str, float]:
        """The tensor that differs most, and by how much; NaN is more than any number."""
        return max(self.worst.items(), key=lambda each: (math.isnan(each[1]), each[1]))


@dataclass(frozen=True)
class Exactness:
    """Relative errors (2-norm) of a run: by dtype against the exact answer, by method against native."""

    by_dtype: Sequence[OfDtype]
    by_method: Sequence[OfMethod]


def exactness(run: Run) -> Exactness:
    """The worst errors of a run; relaxations, which are not held to the exact answer, count by method alone."""
    own = worst_launch(run.discrepancies[run.discrepancies["of"] == "method"])
    exact, native = (own[own["reference"] == reference] for reference in ("exact", BASE))
    exact = exact[~exact["method"].isin(relaxations())]
    native = native[native["method"] != BASE]
    return Exactness(tuple(_by_dtype(exact)), tuple(_by_method(native)))


def _by_dtype(rows: pd.DataFrame) -> Iterator[OfDtype]:
    flips = rows[rows["metric"] == "flips"].groupby(["case", "method"])["value"].max().rename("flips")
    errors = rows[rows["metric"] == "rel_l2"].merge(flips, on=["case", "method"], how="left")
    for dtype in (each for each in DTYPES if each in set(errors["dtype"])):
        mine = errors[errors["dtype"] == dtype]
        known = mine.drop_duplicates(["case", "method"])["flips"].dropna()
        yield OfDtype(dtype, _worst(mine[~(mine["flips"] > 0)]), int((known > 0).sum()), len(known))


def _by_method(rows: pd.DataFrame) -> Iterator[OfMethod]:
    counts = rows[rows["metric"].str.startswith(CAUSE) & (rows["value"] > 0)]
    errors = rows[rows["metric"] == "rel_l2"]
    for method in errors["method"].unique():
        causes = counts[counts["method"] == method].groupby("metric", sort=False)["value"].sum()
        named = {str(name).removeprefix(CAUSE): float(count) for name, count in causes.items()}
        yield OfMethod(str(method), _worst(errors[errors["method"] == method]), named)


def _worst(errors: pd.DataFrame) -> dict[str, float]:
    """tensor -> the largest error, NaN if one of them is NaN."""
    return {
        tensor: float(np.max(errors.loc[errors["tensor"] == tensor, "value"].to_numpy()))
        for tensor in TENSORS
        if (errors["tensor"] == tensor).any()
    }


def exactness_tables(found: Exactness) -> Iterator[Table]:
    """A row a dtype, against the exact answer; a row a method, against native."""
    if found.by_dtype:
        tensors = _present(found.by_dtype)
        rows = [
            (
                each.dtype,
                f"{FORMATS[each.dtype].unit_roundoff:.1e}",
                *(_figure(each.worst, tensor) for tensor in tensors),
                f"{each.flipped} of {each.known} cells" if each.known else "not measured",
            )
            for each in found.by_dtype
        ]
        caption = (
            "Largest relative error (2-norm) against the exact answer in the cells where no index is known to have "
            "flipped, beside the unit roundoff of the dtype; and in how many cells an index flipped."
        )
        yield Table(caption, ("dtype", "unit roundoff", *tensors, "an index flipped in"), tuple(rows))
    if found.by_method:
        tensors = _present(found.by_method)
        told = [
            (each.method, *(_figure(each.worst, tensor) for tensor in tensors), _counted(each.causes) or "-")
            for each in found.by_method
        ]
        caption = (
            "Largest relative difference (2-norm) from native over all cases (0: no entry differs), and how many "
            "entries differ for which cause."
        )
        yield Table(caption, ("method", *tensors, "entries that differ"), tuple(told))


def exactness_sentences(found: Exactness) -> Iterator[Markup]:
    """Which methods return what native returns, by how much the others differ and why; the errors by dtype, and where
    an index flipped."""
    same = [each for each in found.by_method if all(value == 0 for value in each.worst.values())]
    others = sorted((each for each in found.by_method if each not in same), key=lambda each: -_size(each))
    if same:
        count = "returns" if len(same) == 1 else "return"
        names = _joined([Markup("<b>{}</b>").format(each.method) for each in same])
        yield Markup("{} {} the same numbers as native: {}.").format(names, count, _tensors(same))
    for each in others[:NAMED_METHODS]:
        yield _difference(each)
    if len(others) > NAMED_METHODS:
        more = len(others) - NAMED_METHODS
        yield Markup("{} more {} from native.").format(more, "method differs" if more == 1 else "methods differ")
    if found.by_dtype:
        yield from _against_exact(found.by_dtype)


def _size(each: OfMethod) -> float:
    value = each.largest[1]
    return math.inf if math.isnan(value) else value


def _tensors(same: Sequence[OfMethod]) -> str:
    """'no entry of values, dx and dW differs'."""
    names = _present(same)
    return f"no entry of {_joined(list(names))} differs"


def _difference(each: OfMethod) -> Markup:
    tensor, value = each.largest
    why = [WHY.get(name, name) for name in sorted(each.causes, key=lambda name: -each.causes[name])]
    size = "by NaN" if math.isnan(value) else Markup("by up to {} of its size").format(_short(value))
    told = Markup("<b>{}</b> differs from native, in {} {}").format(each.method, tensor, size)
    return told + (f": {', and '.join(why)}." if why else ".")


def _against_exact(by_dtype: Sequence[OfDtype]) -> Iterator[Markup]:
    worst = [(each.dtype, max(each.worst.values(), key=_nan_last)) for each in by_dtype if each.worst]
    if worst and all(value == 0 for _, value in worst):
        yield Markup("Where the selection is right, every tensor is the exact answer.")
    elif worst:
        told = Markup(
            "Where the selection is right, a tensor is off the exact answer, relative to its size, by at most {}."
        )
        yield told.format(_joined([Markup("{} in {}").format(_short(value), dtype) for dtype, value in worst]))
    known = [each for each in by_dtype if each.known]
    flipped = [f"{each.flipped} of {each.known} cells in {each.dtype}" for each in known if each.flipped]
    if flipped:
        yield Markup("A wrong index was selected in {}: there the gradient is far off.").format(_joined(flipped))
    elif known:
        yield Markup("No wrong index was selected in any cell.")


def _short(value: float) -> Markup:
    """Two digits, which no end of a line tears apart."""
    return Markup('<span class="short">{}</span>').format("NaN" if math.isnan(value) else f"{value:.2g}")


def _nan_last(value: float) -> tuple[bool, float]:
    return math.isnan(value), value


def _joined(parts: Sequence[str]) -> Markup:
    """'a, b and c'."""
    *first, last = parts
    return Markup("{} and {}").format(Markup(", ").join(first), last) if first else Markup("{}").format(last)


def _present(found: Sequence[OfDtype] | Sequence[OfMethod]) -> tuple[str, ...]:
    return tuple(tensor for tensor in TENSORS if any(tensor in each.worst for each in found))


def _counted(causes: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {count:.0f}" for name, count in causes.items())


def _figure(worst: Mapping[str, float], tensor: str) -> str:
    return _number(worst[tensor]) if tensor in worst else "-"


def _number(value: float) -> str:
    return "0" if value == 0 else "NaN" if math.isnan(value) else f"{value:.1e}"
