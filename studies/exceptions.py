"""`exceptions`: each way in which methods of one selection differ after all, as a minimal case and over a grid."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd
import seaborn as sns
import style
from matplotlib import pyplot as plt
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from harness.cells import Case
from harness.precision.causes import CAUSES
from harness.study import Study
from harness.tables import Row, Run

PREFIX = "cause_"


def measure(_: Study) -> Iterator[Row]:
    """Facts of the minimal cases: what native and a method make of the same few numbers (CPU)."""
    import torch

    from harness.methods import method

    half = torch.bfloat16

    def values(name: str, y: Any, k: int) -> Any:
        return method(name).forward(y, k)[0].float()

    def input_gradient(name: str, W: Any, k: int) -> Any:
        x = torch.ones(W.shape[1], dtype=W.dtype, requires_grad=True)
        project = method(name).implementation.project
        assert project is not None
        return torch.autograd.grad(project(W, x, k)[0].sum(), x)[0].float()

    def reduced(name: str, y: Any, k: int) -> Any:
        with torch.autocast("cpu", dtype=half):
            return values(name, y, k)

    def weight_gradient(name: str, rows: int) -> Any:
        W = torch.ones(1, 1, dtype=half, requires_grad=True)
        x = torch.full((rows, 1), 1.0, dtype=half)
        project = method(name).implementation.project
        assert project is not None
        return torch.autograd.grad(project(W, x, 1)[0].sum(), W)[0].float()

    ones, minus_zero = torch.ones(256), torch.tensor([-0.0, -1.0])
    infinite, fine = torch.tensor([-torch.inf, 1, 2]), torch.tensor([1 + 2**-10, 0])
    wide = torch.linspace(-1, 1, 64 * 48).reshape(64, 48).sin()
    tiny = torch.full((1024,), 2.0**-130, dtype=half)
    cases: list[tuple[str, str, str, Callable[[str], Any]]] = [
        ("nonfinite", "dense", "y = (-inf, 1, 2), k = 2: values", lambda m: values(m, infinite, 2)),
        ("nonfinite", "fused", "W = (-inf, 1, 2)ᵀ, k = 1: dx", lambda m: input_gradient(m, infinite[:, None], 1)),
        ("signed_zero", "dense", "y = (-0.0, -1), k = 1: values", lambda m: values(m, minus_zero, 1)),
        ("signed_zero", "coo", "y = (-0.0, -1), k = 1: values", lambda m: values(m, minus_zero, 1)),
        ("reduced_precision", "dense", "y = 1 + 2^-10, autocast: values", lambda m: reduced(m, fine, 1)),
        ("reduced_precision", "coo", "y = 1 + 2^-10, autocast: values", lambda m: reduced(m, fine, 1)),
        ("association", "fused", "W of sines, 64 by 48, k = 16: dx", lambda m: input_gradient(m, wide, 16)),
        (
            "storage_accumulation",
            "fused",
            "W = 1, 2048 rows of 1, bfloat16: dW",
            lambda m: weight_gradient(m, 2048),
        ),
        ("tie", "sort", "256 ones, k = 4: indices", lambda m: method(m).forward(ones, 4)[1].sort().values.float()),
        ("flushed", "dense", "1024 of 2^-130, bfloat16, k = 16: values", lambda m: values(m, tiny, 16)),
    ]
    case = Case(n=2, k=1)
    for cause, name, item, run in cases:
        native, other = run("native"), run(name)
        bits = not torch.equal(native.contiguous().view(torch.int32), other.contiguous().view(torch.int32))
        detail = f"native {_told(native)}; {name} {_told(other)}"
        yield {"case": case.id, "method": name} | case.axes | {
            "fact": cause, "item": item, "value": float(bits), "detail": detail
        }  # fmt: skip


def _told(tensor: Any) -> str:
    shown = ", ".join(f"{float(each):.9g}" for each in tensor.flatten()[:4])
    return f"({shown}{', ...' if tensor.numel() > 4 else ''})"


def causes_by_method(run: Run) -> Figure:
    """Entries that differ from native, by method, cause and mode."""
    style.use()
    rows = _causes(run).query("reference == 'native'")
    modes = list(rows["mode"].unique())
    figure, axes = plt.subplots(
        1, len(modes), figsize=(3.6 * len(modes) + 1.5, 3.4), sharey=True, squeeze=False, layout="constrained"
    )
    methods = [each for each in style.METHOD_STYLE if each in set(run.cells["method"])]
    causes = [each for each in CAUSES if each in set(rows["cause"])]
    for axis, mode in zip(axes.flat, modes, strict=True):
        each = rows[rows["mode"] == mode]
        table = each.pivot_table(index="method", columns="cause", values="value", aggfunc="sum")
        table = table.reindex(index=methods, columns=causes).replace(0, float("nan"))
        sns.heatmap(
            table,
            annot=True,
            fmt=".0f",
            cmap="YlGnBu",
            norm=LogNorm(1, 1e6),
            cbar=False,
            linewidths=1,
            ax=axis,
            annot_kws={"size": 7},
        )
        axis.grid(visible=False)
        axis.set(title=mode, xlabel="", ylabel="")
    figure.suptitle("Entries whose bits differ from native's, by their cause (blank: none)")
    return figure


def causes_by_dtype(run: Run) -> Figure:
    """Share of all differing entries, by dtype, reference and cause."""
    style.use()
    rows = _causes(run)
    table = rows.pivot_table(index=["reference", "dtype"], columns="cause", values="value", aggfunc="sum", fill_value=0)
    table = table[[each for each in CAUSES if each in table.columns]]
    shares = table.div(table.sum(axis=1), axis=0)
    figure, axis = plt.subplots(figsize=(8, 4.6), layout="constrained")
    sns.heatmap(shares, annot=True, fmt=".1%", cmap="YlGnBu", cbar=False, linewidths=1, ax=axis, annot_kws={"size": 7})
    axis.set(title="Why entries differ from each reference (share of those that do)", xlabel="", ylabel="")
    return figure


def summary(run: Run) -> Iterator[str]:
    """The minimal cases, and the counts."""
    yield "Law: for one selection all methods agree to the last bit: a product with one nonzero term rounds nothing."
    for row in run.facts.itertuples():
        verdict = "differs" if row.value else "does not differ here"
        yield f"{row.fact}, {row.item}: {verdict}: {row.detail}."
    rows = _causes(run)
    for reference, each in rows.groupby("reference"):
        counts = each.groupby("cause")["value"].sum()
        told = ", ".join(f"{cause} {int(counts[cause])}" for cause in CAUSES if counts.get(cause))
        yield f"Against {reference}: {told}; unexplained {int(counts.get('unexplained', 0))}."


def _causes(run: Run) -> pd.DataFrame:
    rows = run.discrepancies
    rows = rows[rows["metric"].str.startswith(PREFIX)]
    return rows.assign(cause=rows["metric"].str.removeprefix(PREFIX))


FIGURES = (causes_by_method, causes_by_dtype)
