"""`seed`: the worked example from which the project started, and its closing remark as a curve.

In the example the gradients of sum(topk(W x, 3)²) were computed by torch.topk and by a selection matrix, on inputs that
were copied with four decimals, and were equal except for the decimals that were not copied.
"""

from __future__ import annotations

from collections.abc import Iterator

import fits
import numpy as np
import seaborn as sns
import style
import ticks
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from harness.study.cells import Case
from harness.study.definition import Study
from harness.tables import Row, Run

X = [0.1511, 0.5990, 0.6338, 0.5137, 0.5203, 0.0560]
W = [
    [0.2541, 0.6699, 0.5311, 0.7801, 0.5042, 0.5475],
    [0.7523, 0.1331, 0.7670, 0.8132, 0.0524, 0.0269],
    [0.3974, 0.2880, 0.9142, 0.9906, 0.4401, 0.3984],
    [0.7956, 0.2071, 0.2209, 0.6192, 0.2054, 0.7693],
    [0.8587, 0.8415, 0.6033, 0.3812, 0.2498, 0.9813],
    [0.9033, 0.0417, 0.2272, 0.1576, 0.9087, 0.3284],
]
"""The inputs as they were printed and copied."""

PRINTED_DW = {
    0: [0.4442, 1.7611, 1.8634, 1.5103, 1.5297, 0.1646],
    2: [0.4751, 1.8834, 1.9929, 1.6152, 1.6360, 0.1761],
    4: [0.4222, 1.6735, 1.7707, 1.4352, 1.4536, 0.1565],
}
"""The rows of dW that are not zero, as they were printed for the copied inputs."""

PRINTED_DX = [4.3957, 5.2261, 6.1215, 6.4733, 3.5641, 5.6040]
K = 3
HALF_DIGIT = 0.5e-4
"""Half a unit of the last printed decimal: an entry is right when it is off the printed number by at most this."""

FITTED = (1, 13)
"""Range of decimals on which the law is fitted: with more of them the rounding of float64 itself dominates."""


def measure(_: Study) -> Iterator[Row]:
    """The example again, in float32 as it was then: each entry of dW and dx by both methods, beside the printed one."""
    import torch

    from harness.methods import method
    from harness.topk.outcome import Outcome, run_once
    from harness.topk.problems import Problem

    case = Case(n=6, k=K, d=6, distribution="seed", parameters=(("decimals", 4),))
    x, weights = torch.tensor(X), torch.tensor(W)
    problem = Problem(case, weights @ x, torch.zeros(6), x, weights, dict)
    key = {"case": case.id} | case.axes
    printed = [("dx", str(column), value) for column, value in enumerate(PRINTED_DX)]
    printed += [
        ("dW", f"{row},{column}", value) for row, line in PRINTED_DW.items() for column, value in enumerate(line)
    ]
    for name in ("native", "dense"):
        outcome: Outcome = run_once(method(name), problem, "square", with_dS=False)
        for tensor, item, value in printed:
            at = tuple(int(part) for part in item.split(","))
            got = float(getattr(outcome, tensor)[at])
            yield key | {"method": name, "fact": tensor, "item": item, "value": got, "detail": f"printed {value:.4f}"}


def printed_digits(run: Run) -> Figure:
    """Each entry of the gradients of the worked example minus the printed number; all within half of the last digit."""
    style.use()
    facts = style.some(run.facts, "fact about the worked example")
    rows = facts.assign(printed=facts["detail"].str.removeprefix("printed ").astype(float))
    rows = rows.assign(
        difference=(rows["value"] - rows["printed"]) / 1e-4, entry=rows["fact"] + "[" + rows["item"] + "]"
    )
    figure, axis = plt.subplots(figsize=(7.5, 3))
    axis.axhspan(
        -HALF_DIGIT / 1e-4, HALF_DIGIT / 1e-4, color="#009E73", alpha=0.15, label="right in all printed digits"
    )
    sizes = {"native": 130, "dense": 30}  # unlike, so that equal points do not hide one another
    sns.scatterplot(
        rows, x="entry", y="difference", size="method", sizes=sizes, ax=axis, **style.methods(rows["method"])
    )
    axis.set(
        xlabel="entry of the gradient",
        ylabel="computed - printed\n(units of the 4th decimal)",
        title="The worked example: gradients from the copied inputs minus the printed ones",
    )
    axis.tick_params(axis="x", rotation=90)
    axis.legend(loc="upper left", bbox_to_anchor=(1, 1))
    axis.grid(visible=False, axis="x")
    return figure


def decimals_copied(run: Run) -> Figure:
    """Error of dx and dW against those of the original inputs, over the number of copied decimals."""
    style.use()
    rows = run.discrepancies.query("reference == 'original' and metric == 'rel_l2' and method == 'dense'")
    rows = rows[rows["tensor"].isin(("dx", "dW")) & (rows["value"] > 0)]
    grid = sns.relplot(
        rows,
        x="decimals",
        y="value",
        col="tensor",
        kind="line",
        marker="o",
        estimator="median",
        errorbar=("pi", 90),
        height=3.2,
        **style.dtypes(rows["dtype"]),
    )
    decimals = sorted(rows["decimals"].unique())
    for axis in grid.axes.flat:
        axis.plot(decimals, [10.0**-count for count in decimals], color="black", lw=0.8, ls="--", label="10^-decimals")
        for dtype in style.present_dtypes(rows["dtype"]):
            axis.axhline(style.UNIT_ROUNDOFF[dtype], color=style.DTYPE_COLOUR[dtype], lw=0.8, ls=":")
        ticks.log(axis, "y", ticks.error)
    grid.set(xticks=decimals[1::2]).set_titles("{col_name}")
    grid.set_axis_labels("decimals copied", "relative error (2-norm)")
    draws = rows["seed"].nunique()
    title = f"Error after copying; median and 90 % of {draws} draws; dashed: $10^{{-decimals}}$; dotted: unit roundoff"
    return style.titled(grid, title)


def summary(run: Run) -> Iterator[str]:
    """Whether the example comes out as printed, whether both methods agree, and the error for each copied decimal."""
    printed = run.facts["detail"].str.removeprefix("printed ").astype(float)
    off = (run.facts["value"] - printed).abs()
    right = int((off <= HALF_DIGIT).sum())
    yield f"Entries of the worked example within half of the last printed digit: {right} of {len(off)}."
    shares = run.discrepancies.query("metric == 'bit_equal_share' and reference == 'native' and method == 'dense'")
    shares = shares[shares["tensor"].isin(("values", "dx", "dW"))]
    yield (
        f"values, dx and dW of the selection matrix have the bits of native's in {(shares['value'] == 1).sum()} of "
        f"{len(shares)} comparisons."
    )
    yield "Law: copying moves each input by up to half of the last decimal, so the gradients by about 10^-decimals."
    rows = run.discrepancies.query("reference == 'original' and metric == 'rel_l2' and method == 'dense'")
    rows = rows[rows["dtype"].eq("float64") & rows["value"].gt(0) & rows["decimals"].between(*FITTED)]
    for tensor in ("dx", "dW"):
        own = rows[rows["tensor"] == tensor]
        # Cases of one draw with different decimals share W and x, so the draws are the clusters.
        terms = np.column_stack([np.ones(len(own)), own["decimals"]])
        draw = own["seed"].factorize()[0]
        if not fits.can_be_fitted(terms, draw):
            continue
        (_, slope), (_, half), _ = fits.clustered(terms, np.log10(own["value"].to_numpy()), draw)
        four = own.loc[own["decimals"] == 4, "value"]
        yield (
            f"{tensor}, float64: each decimal divides the error by 10^{-slope:.3f} "
            f"(95 %: {-slope - half:.3f}..{-slope + half:.3f}); at four decimals it is {four.median():.1e} "
            f"({four.min():.1e}..{four.max():.1e}, {len(four)} draws)."
        )


FIGURES = (printed_digits, decimals_copied)
