"""`capability`: every product of a selection matrix that torch offers, tried for each layout and dtype.

The facts are one table that can be compared between torch versions: 1 where the product works and 0 where torch refuses
it. The detail is torch's message, or the layout of the result.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd
import planes
import style
import ticks
from matplotlib import pyplot as plt
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from harness.scripts.dark import KEPT
from harness.study.cells import Case
from harness.study.definition import Study
from harness.tables import Row, Run
from harness.vocabulary import DTYPES

N, K = 64, 8
LAYOUTS = ("dense", "coo", "csr", "csc", "bsr")
FACTS = ("forward", "gradient of y", "gradient of S")
LONGEST = 160
"""Characters of a message that are kept."""


def measure(_: Study) -> Iterator[Row]:
    """Facts of each operation, layout, dtype and device: does it run, and does it give each gradient?"""
    import torch

    from harness.device.devices import present

    operations: dict[str, Callable[[Any, Any], Any]] = {
        "S @ y": lambda S, y: S @ y,
        "S @ Y": lambda S, y: S @ y.unsqueeze(1),
        "torch.mv": torch.mv,
        "torch.mm": lambda S, y: torch.mm(S, y.unsqueeze(1)),
        "torch.sparse.mm": lambda S, y: torch.sparse.mm(S, y.unsqueeze(1)),
        "torch.sparse.mm sum": lambda S, y: torch.sparse.mm(S, y.unsqueeze(1), "sum"),
        "torch.addmm": lambda S, y: torch.addmm(y.new_zeros(K, 1), S, y.unsqueeze(1)),
        "torch.sparse.addmm": lambda S, y: torch.sparse.addmm(y.new_zeros(K, 1), S, y.unsqueeze(1)),
        "linear(y, S)": lambda S, y: torch.nn.functional.linear(y, S),
    }
    for device in (here.type for here in present()):
        for dtype in DTYPES:
            case = Case(n=N, k=K, dtype=dtype, device=device)
            for layout in LAYOUTS:
                for name, operation in operations.items():
                    for fact, (works, detail) in _probe(operation, layout, case).items():
                        key = {"case": case.id, "method": name} | case.axes
                        yield key | {"fact": fact, "item": layout, "value": float(works), "detail": detail[:LONGEST]}


def _probe(operation: Callable[[Any, Any], Any], layout: str, case: Case) -> dict[str, tuple[bool, str]]:
    """fact -> whether it works, and the layout of the result, torch's message, 'wrong values' or 'wrong gradient'."""
    import torch

    def attempt(fact: str) -> tuple[bool, str]:
        y = torch.arange(1.0, N + 1).to(getattr(torch, case.dtype)).to(case.device)
        try:
            S = _selection_matrix(layout, y)
            leaf = {"gradient of y": y, "gradient of S": S}.get(fact)
            if leaf is not None:
                leaf.requires_grad_()
            values = operation(S, y)
            if leaf is None:
                right = torch.equal(values.detach().to_dense().flatten().double(), y[-K:].double())
                return right, str(values.layout).removeprefix("torch.") if right else "wrong values"
            (gradient,) = torch.autograd.grad(values.sum(), leaf)
            right = _right_gradient(gradient, fact, layout, y.detach())
            return right, str(gradient.layout).removeprefix("torch.") if right else "wrong gradient"
        except (RuntimeError, TypeError, AttributeError, ValueError) as error:
            return False, str(error).strip().partition("\n")[0] or type(error).__name__

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns that CSR is in beta; the rows say whether it works
        return {fact: attempt(fact) for fact in FACTS}


def _right_gradient(gradient: Any, fact: str, layout: str, y: Any) -> bool:
    """Whether a gradient is that of the sum of the K last entries of y: by y, 1 at each of them; by S, y in every row.

    Where a sparse S has no entry, its gradient may also be 0. All numbers are small integers, so none is rounded.
    """
    import torch

    got, S = gradient.detach().to_dense().double(), _selection_matrix("dense", y).double()
    if fact == "gradient of y":
        return torch.equal(got, S.sum(dim=0))
    left_out = (got == 0) & (S == 0) & (layout != "dense")
    return bool(((got == y.double()) | left_out).all())


def _selection_matrix(layout: str, y: Any) -> Any:
    """The matrix S that selects the K last entries of y, in a layout."""
    import torch

    S = torch.zeros(K, N, dtype=y.dtype, device=y.device)
    S[torch.arange(K), torch.arange(N - K, N)] = 1
    make: dict[str, Callable[[], Any]] = {
        "dense": lambda: S,
        "coo": S.to_sparse,
        "csr": S.to_sparse_csr,
        "csc": S.to_sparse_csc,
        "bsr": lambda: S.to_sparse_bsr((4, 4)),
    }
    return make[layout]()


def capability(run: Run) -> Figure:
    """Which of values, gradient of y and gradient of S each operation gives, by layout and dtype."""
    style.use()
    facts = style.some(run.facts.query("device == 'cpu'"), "fact about a CPU")
    works = {fact: _table(facts[facts["fact"] == fact], "value") for fact in FACTS}
    level = works["forward"] * (1 + works["gradient of y"] + works["gradient of S"])
    notes = _table(facts[facts["fact"] == "gradient of S"].assign(note=_notes), "note")
    level, notes = _alike_joined(level, notes)
    figure, axes = plt.subplots(1, len(LAYOUTS), figsize=(10.5, 3.4), sharey=True, layout="constrained")
    colours = ListedColormap([colour for _, colour in _LEVELS])
    scale = planes.Scale(colours, Normalize(-0.5, len(_LEVELS) - 0.5), ticks.number)
    for axis, layout in zip(axes, LAYOUTS, strict=True):
        here, text = (
            table[table.index.get_level_values("item") == layout].droplevel("item") for table in (level, notes)
        )
        planes.draw(axis, here, text, scale, size=7.5)
        axis.set_title(f"S {layout}")
    keys = [Patch(facecolor=colour, label=words) for words, colour in _LEVELS]
    for patch in figure.legend(handles=keys, loc="outside lower center", ncols=len(keys)).get_patches():
        patch.set_gid(KEPT)
    figure.suptitle("Products of a selection matrix S and y on a CPU; on each tile: the layout of the gradient of S")
    return figure


_LEVELS = (
    ("refused", "#EEEEEE"),
    ("values only", "#FDE9B8"),
    ("one of the gradients too", "#9CC9E8"),
    ("both gradients", "#4FA37C"),
)
"""How much works: in words, and the colour of the tile."""


def _alike_joined(level: pd.DataFrame, notes: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The two tables, with neighbouring dtypes whose columns are the same joined in one column that names them all."""
    groups: list[list[str]] = []
    for dtype in level.columns:
        alike = groups and level[dtype].equals(level[groups[-1][0]]) and notes[dtype].equals(notes[groups[-1][0]])
        groups = [*groups[:-1], [*groups[-1], dtype]] if alike else [*groups, [dtype]]
    first, names = [group[0] for group in groups], ["\n".join(group) for group in groups]
    return level[first].set_axis(names, axis=1), notes[first].set_axis(names, axis=1)


def _notes(rows: pd.DataFrame) -> pd.Series:
    return rows["detail"].where(rows["value"] == 1, "").str.removeprefix("sparse_").str.replace("strided", "dense")


def _table(rows: pd.DataFrame, value: str) -> pd.DataFrame:
    """A table with one row for each layout (`item`) and operation (`method`) and one column for each dtype."""
    table = rows.pivot(index=["item", "method"], columns="dtype", values=value)
    order = [(layout, method) for layout in LAYOUTS for method in rows["method"].unique()]
    return table.reindex(order)[[*DTYPES]]


def summary(run: Run) -> Iterator[str]:
    """How many products work, and which give a dense gradient for a sparse S."""
    facts = run.facts
    for device, here in facts.groupby("device"):
        forward = here[here["fact"] == "forward"]
        both = here[here["fact"] != "forward"].groupby(["method", "item", "dtype"])["value"].min()
        runs, gives = int(forward["value"].sum()), int(both.sum())
        yield f"{device}: {runs} of {len(forward)} products run, {gives} give both gradients."
        dense = here[(here["fact"] == "gradient of S") & (here["item"] != "dense") & (here["detail"] == "strided")]
        products = ", ".join(sorted(set(dense["item"] + " " + dense["method"])))
        yield f"{device}: a sparse S gets a dense gradient from: {products or 'none'}."


FIGURES = (capability,)
