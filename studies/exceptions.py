"""`exceptions`: every way in which methods differ although they select the same, in minimal cases and over a grid."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd
import planes
import style
import ticks
from matplotlib import pyplot as plt
from matplotlib.colors import LinearSegmentedColormap, LogNorm, Normalize
from matplotlib.figure import Figure

from harness.precision.causes import CAUSES
from harness.scripts.palette import GAIN_COLOURS
from harness.study.cells import Case
from harness.study.definition import Study
from harness.tables import Row, Run

PREFIX, UNEXPLAINED = "cause_", "unexplained"
REFERENCES = ("native", "conditional", "exact", "original")


def measure(_: Study) -> Iterator[Row]:
    """Facts of the minimal cases: the results of native and of a method on the same few numbers (CPU)."""
    import torch

    case = Case(n=2, k=1)
    for cause, name, item, result in _minimal_cases():
        native, other = result("native"), result(name)
        bits = not torch.equal(native.contiguous().view(torch.int32), other.contiguous().view(torch.int32))
        detail = f"native {_entries(native)}; {name} {_entries(other)}"
        yield {"case": case.id, "method": name} | case.axes | {
            "fact": cause, "item": item, "value": float(bits), "detail": detail
        }  # fmt: skip


def _minimal_cases() -> list[tuple[str, str, str, Callable[[str], Any]]]:
    """(cause, method, the input in words, a function from the name of a method to its result in float32)."""
    import torch

    from harness.methods import method

    half = torch.bfloat16
    ones, minus_zero = torch.ones(256), torch.tensor([-0.0, -1.0])
    infinite, fine = torch.tensor([-torch.inf, 1, 2]), torch.tensor([1 + 2**-10, 0])
    wide = torch.linspace(-1, 1, 64 * 48).reshape(64, 48).sin()
    tiny = torch.full((1024,), 2.0**-130, dtype=half)
    return [
        ("nonfinite", "dense", "y = (-inf, 1, 2), k = 2: values", lambda m: _values(m, infinite, 2)),
        ("nonfinite", "fused", "W = (-inf, 1, 2)ᵀ, k = 1: dx", lambda m: _input_gradient(m, infinite[:, None], 1)),
        ("signed_zero", "dense", "y = (-0.0, -1), k = 1: values", lambda m: _values(m, minus_zero, 1)),
        ("signed_zero", "coo", "y = (-0.0, -1), k = 1: values", lambda m: _values(m, minus_zero, 1)),
        ("reduced_precision", "dense", "y = 1 + 2^-10, autocast: values", lambda m: _reduced(m, fine, 1)),
        ("reduced_precision", "coo", "y = 1 + 2^-10, autocast: values", lambda m: _reduced(m, fine, 1)),
        ("association", "fused", "W of sines, 64 by 48, k = 16: dx", lambda m: _input_gradient(m, wide, 16)),
        ("storage_accumulation", "fused", "W = 1, 2048 rows of 1, bfloat16: dW", lambda m: _weight_gradient(m, 2048)),
        ("tie", "sort", "256 ones, k = 4: indices", lambda m: method(m).forward(ones, 4)[1].sort().values.float()),
        ("flushed", "dense", "1024 of 2^-130, bfloat16, k = 16: values", lambda m: _values(m, tiny, 16)),
    ]


def _values(name: str, y: Any, k: int) -> Any:
    from harness.methods import method

    return method(name).forward(y, k)[0].float()


def _reduced(name: str, y: Any, k: int) -> Any:
    """The values under autocast to bfloat16."""
    import torch

    with torch.autocast("cpu", dtype=torch.bfloat16):
        return _values(name, y, k)


def _input_gradient(name: str, W: Any, k: int) -> Any:
    """dx of the sum of topk(W x), where x is all ones."""
    import torch

    from harness.methods import method

    x = torch.ones(W.shape[1], dtype=W.dtype, requires_grad=True)
    project = method(name).implementation.project
    assert project is not None
    return torch.autograd.grad(project(W, x, k)[0].sum(), x)[0].float()


def _weight_gradient(name: str, rows: int) -> Any:
    """dW of the sum of topk(W x) over many rows of one entry, in bfloat16, where W and x are all ones."""
    import torch

    from harness.methods import method

    W = torch.ones(1, 1, dtype=torch.bfloat16, requires_grad=True)
    x = torch.full((rows, 1), 1.0, dtype=torch.bfloat16)
    project = method(name).implementation.project
    assert project is not None
    return torch.autograd.grad(project(W, x, 1)[0].sum(), W)[0].float()


def _entries(tensor: Any) -> str:
    """The first entries of a tensor, with the 9 digits that tell all float32 apart."""
    shown = ", ".join(f"{float(entry):.9g}" for entry in tensor.flatten()[:4])
    return f"({shown}{', ...' if tensor.numel() > 4 else ''})"


def causes_by_method(run: Run) -> Figure:
    """Number of entries that differ from native, by cause, method and mode."""
    style.use()
    rows = _causes(run).query("reference == 'native' and value > 0")
    rows = style.some(rows, "entry that differs from native")
    modes = list(rows["mode"].unique())
    present = style.methods(run.cells["method"])["hue_order"]
    methods = [name for name in present if name in set(rows["method"])]
    ran = set(run.cells.loc[run.cells["status"] == "ok", "method"])
    equal = [name for name in present if name in ran and name not in (*methods, "native")]
    causes = [cause for cause in (*CAUSES, UNEXPLAINED) if cause in set(rows["cause"])]
    scale = planes.Scale(LinearSegmentedColormap.from_list("counts", GAIN_COLOURS), LogNorm(1, 1e6), ticks.number)
    size = (0.62 * len(methods) * len(modes) + 2.2, 0.34 * len(causes) + 1.1)
    figure, axes = plt.subplots(1, len(modes), figsize=size, sharey=True, squeeze=False, layout="constrained")
    for axis, mode in zip(axes.flat, modes, strict=True):
        table = rows[rows["mode"] == mode].pivot_table(index="cause", columns="method", values="value", aggfunc="sum")
        counts = table.reindex(index=causes, columns=methods)
        planes.draw(axis, counts, counts.map("{:,.0f}".format), scale, size=7)
        planes.name_tiles(axis, methods, _in_words(causes))
        axis.set_title(mode)
    also = f"; no entry of {', '.join(equal)} differs" if equal else ""
    figure.suptitle(
        "Number of entries whose bits differ from native's, by cause\n"
        f"blank: none, or the method does not run in that mode{also}"
    )
    return figure


def causes_by_dtype(run: Run) -> Figure:
    """Share of the entries that differ from a reference, by cause and dtype."""
    style.use()
    rows = _causes(run).query("value > 0")
    references = [name for name in REFERENCES if name in set(rows["reference"])]
    dtypes = style.present_dtypes(rows["dtype"])
    causes = [cause for cause in (*CAUSES, UNEXPLAINED) if cause in set(rows["cause"])]
    table = rows.pivot_table(index="cause", columns=["reference", "dtype"], values="value", aggfunc="sum")
    shares = table / table.sum()
    scale = planes.Scale(LinearSegmentedColormap.from_list("shares", GAIN_COLOURS), Normalize(0, 1), ticks.number)
    size = (0.6 * len(dtypes) * len(references) + 2.2, 0.34 * len(causes) + 1.2)
    figure, axes = plt.subplots(1, len(references), figsize=size, sharey=True, squeeze=False, layout="constrained")
    for axis, reference in zip(axes.flat, references, strict=True):
        plane = pd.DataFrame(shares[reference]).reindex(index=causes, columns=dtypes)
        planes.draw(axis, plane, plane.map(_share), scale, size=7.5)
        planes.name_tiles(axis, dtypes, _in_words(causes))
        axis.tick_params(axis="x", labelrotation=30)
        axis.set_title(f"against {reference}")
    figure.suptitle(
        "Why entries differ: the share of each cause among the entries of a dtype that differ (blank: none)"
    )
    return figure


def _in_words(causes: list[str]) -> list[str]:
    return [cause.replace("_", " ") for cause in causes]


def _share(value: float) -> str:
    return "< 0.1 %" if 0 < value < 1e-3 else f"{100 * value:.1f} %" if value < 0.1 else f"{100 * value:.0f} %"


def summary(run: Run) -> Iterator[str]:
    """The minimal cases, and the number of entries that differ by cause."""
    yield "Law: for one selection all methods agree to the last bit: a product with one nonzero term rounds nothing."
    for row in run.facts.itertuples():
        verdict = "differs" if row.value else "does not differ here"
        yield f"{row.fact}, {row.item}: {verdict}: {row.detail}."
    rows = _causes(run)
    for reference, here in rows.groupby("reference"):
        counts = here.groupby("cause")["value"].sum()
        by_cause = ", ".join(f"{cause} {int(counts[cause])}" for cause in CAUSES if counts.get(cause))
        yield f"Against {reference}: {by_cause}; unexplained {int(counts.get('unexplained', 0))}."


def _causes(run: Run) -> pd.DataFrame:
    rows = run.discrepancies
    rows = rows[rows["metric"].str.startswith(PREFIX)]
    return rows.assign(cause=rows["metric"].str.removeprefix(PREFIX))


FIGURES = (causes_by_method, causes_by_dtype)
