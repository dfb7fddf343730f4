"""`repeats`: does the same call give the same bits again, in the same process and in the next launch?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import pandas as pd
import planes
import style
import ticks
from matplotlib import colormaps
from matplotlib import pyplot as plt
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from precision import share_text

from harness.tables import Run

SHARE, ULPS, DIGEST = "repeat_equal_share", "repeat_ulp_max", "repeat_digest"
WHERE = ["device", "mode"]
TENSORS = ("values", "selection", "dy", "dx", "dW", "dS")


def equal_shares(run: Run) -> Figure:
    """Same bits again, by method and tensor: smallest share of entries in a process, share of cases over launches."""
    style.use()
    shares = _shares(run)
    places = [(str(device), str(mode)) for device, mode in shares[WHERE].drop_duplicates().to_numpy()]
    kinds: dict[str, Literal["min", "mean"]] = {"in a process": "min", "over launches": "mean"}
    figure, axes = plt.subplots(
        len(places), 2, figsize=(8, 2.5 * len(places)), sharex=True, sharey=True, squeeze=False, layout="constrained"
    )
    scale = planes.Scale(colormaps["cividis"], Normalize(0, 1), ticks.number)
    methods = style.methods(shares["method"])["hue_order"]
    tensors = [tensor for tensor in TENSORS if tensor in set(shares["tensor"])]
    for line, (device, mode) in enumerate(places):
        for axis, (kind, reduction) in zip(axes[line], kinds.items(), strict=True):
            here = shares[(shares["device"] == device) & (shares["mode"] == mode)]
            plane = here.pivot_table(index="method", columns="tensor", values=kind, aggfunc=reduction)
            plane = plane.reindex(index=methods, columns=tensors)
            planes.draw(axis, plane, plane.map(share_text), scale)
            axis.set_title(f"{device}, {mode}: {kind}")
    figure.suptitle(
        "The same bits again: the smallest share of entries when a call is repeated in a process, and the share\n"
        "of cases whose bits are the same in every launch (blank: the method has no such tensor)"
    )
    return figure


def summary(run: Run) -> Iterator[str]:
    """Where the same call gives different bits, and by how much."""
    yield "Law: a call repeats its bits unless its sums are added in an order that is not fixed (atomic additions)."
    shares = _shares(run)
    distances = _of(run, ULPS)
    for where, here in shares.groupby(WHERE, sort=False):
        inside, outside = (int((here[kind] < 1).sum()) for kind in ("in a process", "over launches"))
        farthest = distances.loc[distances["case"].isin(here["case"]), "value"].max()
        repeated = f"{inside} of {len(here)} tensors differ when the call is repeated, by at most {farthest:.3g} ulp"
        yield f"{', '.join(map(str, where))}: {repeated}; {outside} differ between launches{_which(here)}."


def _which(shares: pd.DataFrame) -> str:
    """The methods and tensors that differ, in parentheses; '' where none does."""
    varying = shares[(shares["in a process"] < 1) | (shares["over launches"] < 1)]
    pairs = varying[["method", "tensor"]].drop_duplicates().itertuples(index=False, name=None)
    named = ", ".join(f"{tensor} of {method}" for method, tensor in pairs)
    return f" ({named})" if named else ""


def _shares(run: Run) -> pd.DataFrame:
    """One row for each tensor of a cell.

    `in a process`: the share of entries with the same bits when the call is repeated, the smallest of all launches;
    `over launches`: 1 where all launches have the same bits, and otherwise 0.
    """
    key = ["case", "method", "tensor", *WHERE]
    inside = _of(run, SHARE).groupby(key, sort=False)["value"].min()
    outside = _of(run, DIGEST).groupby(key, sort=False)["value"].nunique() == 1
    return pd.concat({"in a process": inside, "over launches": outside.astype(float)}, axis=1).reset_index()


def _of(run: Run, metric: str) -> pd.DataFrame:
    return run.discrepancies[run.discrepancies["metric"] == metric]


FIGURES = (equal_shares,)
