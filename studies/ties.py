"""`ties`: which index wins where values are equal, where the rule changes, and what that does to the gradient.

torch documents no rule. On a CPU its algorithm, and with it the rule, changes at 64 k = n: partial_sort where
64 k <= n, nth_element beyond (aten/src/ATen/native/TopKImpl.h). A stable rule would select the lowest indices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import planes
import seaborn as sns
import style
import ticks
from matplotlib import colormaps
from matplotlib import pyplot as plt
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from harness.study.cells import Case
from harness.study.definition import Study
from harness.tables import Row, Run
from harness.vocabulary import DTYPES

SIZES = (64, 256, 1024, 4096, 16384)
KEPT = (1, 2, 4, 8, 16, 64, 256)
ROWS = (1, 4)
LIMIT = 64
"""Where k LIMIT <= n, torch takes partial_sort."""


def measure(_: Study) -> Iterator[Row]:
    """Facts of equal values on each device: which indices win, and how each operation distributes the gradient."""
    from harness.device.devices import present

    for device in (here.type for here in present()):
        for dtype in DTYPES:
            for case in (Case(n=n, k=k, rows=r, dtype=dtype, device=device) for n in SIZES for k in KEPT for r in ROWS):
                if case.k < case.n:  # otherwise all are selected, whatever the rule
                    yield from _winners(case)
            yield from _shares_of_gradient(dtype, device)


def _winners(case: Case) -> Iterator[Row]:
    """Facts of y = 0: the share of the selected that are among the k lowest indices."""
    import torch

    y = torch.zeros(case.rows, case.n, dtype=getattr(torch, case.dtype), device=case.device)
    key = {"case": case.id} | case.axes
    for method, ordered in (("native", True), ("native_unsorted", False)):
        chosen = y.topk(case.k, sorted=ordered).indices.cpu().numpy()
        lowest = float(np.mean(chosen < case.k))
        same = all(set(row) == set(chosen[0]) for row in chosen.tolist())
        detail = f"first {chosen[0, :4].tolist()}; rows {'alike' if same else 'unlike'}"
        yield key | {"method": method, "fact": "share_of_lowest", "item": "y = 0", "value": lowest, "detail": detail}


def _shares_of_gradient(dtype: str, device: str) -> Iterator[Row]:
    """Facts of eight equal values: how many of them get gradient; the detail is the gradient itself."""
    import torch

    operations: dict[str, Callable[[Any], Any]] = {
        "topk(1)": lambda y: y.topk(1).values,
        "sort[0]": lambda y: y.sort(descending=True).values[0],
        "kthvalue(n)": lambda y: y.kthvalue(8).values,
        "max(dim)": lambda y: y.max(dim=0).values,
        "amax": lambda y: y.amax(),
        "max()": lambda y: y.max(),
    }
    case = Case(n=8, k=1, dtype=dtype, device=device, distribution="constant")
    for name, operation in operations.items():
        y = torch.ones(8, dtype=getattr(torch, dtype), device=device, requires_grad=True)
        row = {"case": case.id, "method": name, "fact": "gradient_of_a_tie", "item": "8 equal values"} | case.axes
        try:
            (gradient,) = torch.autograd.grad(operation(y).sum(), y)
        except RuntimeError as error:
            yield row | {"value": float("nan"), "detail": str(error).partition("\n")[0]}
            continue
        shared = int(torch.count_nonzero(gradient))
        yield row | {"value": float(shared), "detail": str([round(float(entry), 4) for entry in gradient])}


def winners(run: Run) -> Figure:
    """Share of the selected that are among the k lowest indices, in the plane of n and k."""
    style.use()
    rows = _choices(run).query("rows == 1 and device == 'cpu'")
    rows = style.some(rows, "fact about equal values in one row on a CPU")
    grouped = {
        (str(method), str(dtype)): cells.pivot(index="k", columns="n", values="value").sort_index(ascending=False)
        for method, here in rows.groupby("method", sort=False)
        for dtype, cells in here.groupby("dtype", sort=False)
    }
    panels = _alike_joined(grouped)
    size = (3.4 * len(panels) + 0.3, 3)
    figure, axes = plt.subplots(1, len(panels), figsize=size, sharey=True, squeeze=False, layout="constrained")
    scale = planes.Scale(colormaps["cividis"], Normalize(0, 1), ticks.number)
    for axis, (title, plane) in zip(axes.flat, panels.items(), strict=True):
        planes.draw(axis, plane, plane.map(lambda share: f"{100 * share:.0f} %"), scale)
        _draw_limit(axis, plane)
        axis.set(title=title, xlabel="n", ylabel="k" if axis is axes.flat[0] else "")
    figure.suptitle(
        "All values equal: share of the selected that are the lowest indices; line: 64 k = n (CPU, one row)"
    )
    return figure


def _alike_joined(planes_of: dict[tuple[str, str], pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """(method, dtype) -> plane, turned into title -> plane. Dtypes of a method with equal planes share one."""
    joined: list[tuple[str, list[str], pd.DataFrame]] = []
    for (method, dtype), plane in planes_of.items():
        alike = next((other for other in joined if other[0] == method and other[2].equals(plane)), None)
        if alike:
            alike[1].append(dtype)
        else:
            joined.append((method, [dtype], plane))
    return {f"{method}\n{', '.join(style.present_dtypes(dtypes))}": plane for method, dtypes, plane in joined}


def gradients(run: Run) -> Figure:
    """How many of eight equal values get gradient, by operation and dtype."""
    style.use()
    rows = run.facts.query("fact == 'gradient_of_a_tie' and device == 'cpu'")
    rows = style.some(rows, "fact about the gradient of equal values on a CPU")
    table = rows.pivot(index="method", columns="dtype", values="value").reindex(columns=[*DTYPES])
    figure, axis = plt.subplots(figsize=(5.5, 2.6), layout="constrained")
    scale = planes.Scale(colormaps["cividis"], Normalize(1, 8), ticks.number)
    planes.draw(axis, table, table.map("{:.0f}".format), scale)
    axis.set_title("How many of 8 equal values get gradient (blank: not supported)")
    return figure


def agreement(run: Run) -> Figure:
    """Relative difference of dy from native's on tied data, by distribution and method; a point is a case."""
    style.use()
    rows = style.some(_differences(run), "dy beside native's")
    figure, axis = plt.subplots(figsize=(6.5, 3.2), layout="constrained")
    colours = style.methods(rows["method"])["palette"]
    sns.stripplot(rows, x="distribution", y="value", dodge=True, ax=axis, hue="method", palette=colours, alpha=0.5)
    axis.set(
        ylabel="relative difference of dy (2-norm)",
        xlabel="distribution of y",
        title="How far dy is from native's where values are equal (linear loss); each point: a case",
    )
    axis.legend(title="method", loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def summary(run: Run) -> Iterator[str]:
    """Which indices win on either side of 64 k = n, and what that does to the gradient."""
    rows = _choices(run)
    for (device, method), here in rows.groupby(["device", "method"]):
        partial = here["k"] * LIMIT <= here["n"]
        for side, chosen in (("64 k <= n", here[partial]), ("64 k > n", here[~partial])):
            lowest = f"lowest indices win in {(chosen['value'] == 1).mean():.0%} of {len(chosen)} cases"
            yield f"{device}, {method}, {side}: {lowest}; mean share of the lowest {chosen['value'].mean():.2f}."
    unlike = rows["detail"].str.contains("unlike").sum()
    yield f"Rows of one call that chose differently: {unlike} of {len(rows)} cases."
    gradients = run.facts.query("fact == 'gradient_of_a_tie'")
    split, single = (
        ", ".join(gradients.query(which)["method"].unique()) or "none" for which in ("value > 1", "value == 1")
    )
    yield f"Operations that split the gradient of a tie among all equal values: {split}; that give it to one: {single}."
    for method, here in _differences(run).groupby("method", sort=False):
        differ, most = int((here["value"] > 0).sum()), float(here["value"].max())
        cases = f"{differ} of {len(here)} cases"
        yield f"{method!s}: dy differs from native's in {cases}, by at most {most:.2g} of its size."


def _choices(run: Run) -> pd.DataFrame:
    """The facts about selections among equal values, where not all of them were selected."""
    return run.facts.query("fact == 'share_of_lowest' and k < n")


def _differences(run: Run) -> pd.DataFrame:
    """The relative difference of dy from native's in each case."""
    return run.discrepancies.query(
        "reference == 'native' and method != 'native' and tensor == 'dy' and metric == 'rel_l2'"
    )


def _draw_limit(axis: Any, plane: pd.DataFrame) -> None:
    """Draw a line between the tiles on either side of 64 k = n."""
    below = (plane.index.to_numpy()[:, None] * LIMIT <= plane.columns.to_numpy()).sum(axis=0)
    edges = len(plane) - below
    axis.step(range(len(edges) + 1), [*edges, edges[-1]], where="post", color="#D55E00", lw=2, clip_on=False)


FIGURES = (winners, gradients, agreement)
