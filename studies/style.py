"""One look for all figures: the same method has the same colour and marker everywhere.

Colours are those of Okabe and Ito (2008), and of Tol (2021), which the colour-blind can tell apart; markers and line
styles say it again for print in grey.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import matplotlib as mpl
import seaborn as sns
from matplotlib.figure import Figure

METHOD_STYLE = {
    "native": ("#000000", "o"),
    "native_unsorted": ("#999999", "o"),
    "blockmax": ("#EE3377", "H"),
    "sort": ("#CC79A7", "s"),
    "dense": ("#D55E00", "D"),
    "coo": ("#E69F00", "^"),
    "csr": ("#56B4E9", "v"),
    "csr_at": ("#0072B2", "v"),
    "gather": ("#009E73", "P"),
    "fused": ("#7A5195", "X"),
    "numpy_argpartition": ("#117733", "p"),
    "numpy_partition": ("#44AA99", "h"),
    "sigmoid_shift": ("#CC3311", "<"),
    "straight_through": ("#882255", ">"),
    "entmax_budget": ("#332288", "d"),
    "softtorch_softsort": ("#AA4499", "8"),
    "copy": ("#BBBBBB", "."),
    "read": ("#DDAA33", "."),
}
OTHER_STYLE = ("#444444", "*")
DTYPE_STYLE = {"bfloat16": "#D55E00", "float16": "#E69F00", "float32": "#0072B2", "float64": "#009E73"}

UNIT_ROUNDOFF = {"float16": 2.0**-11, "bfloat16": 2.0**-8, "float32": 2.0**-24, "float64": 2.0**-53}


def use() -> None:
    """Set the look; called by every figure, since one figure must not depend on those before it."""
    sns.set_theme(context="paper", style="whitegrid", font_scale=0.95)
    mpl.rcParams.update(
        {"svg.hashsalt": "topk", "svg.fonttype": "none", "savefig.bbox": "tight", "axes.titlesize": "medium"}
    )


def methods(present: Iterable[str]) -> dict[str, Any]:
    """palette, markers and order for seaborn: those methods that the data have, in one fixed order."""
    have = set(present)
    names = [name for name in METHOD_STYLE if name in have] + sorted(have - METHOD_STYLE.keys())
    styles = {name: METHOD_STYLE.get(name, OTHER_STYLE) for name in names}
    return {
        "hue": "method",
        "hue_order": names,
        "palette": {name: colour for name, (colour, _) in styles.items()},
        "style": "method",
        "style_order": names,
        "markers": {name: marker for name, (_, marker) in styles.items()},
    }


def dtypes(present: Iterable[str]) -> dict[str, Any]:
    """palette and order of the dtypes that the data have."""
    names = [name for name in DTYPE_STYLE if name in set(present)]
    return {"hue": "dtype", "hue_order": names, "palette": {name: DTYPE_STYLE[name] for name in names}}


def titled(grid: Any, title: str) -> Figure:
    """The figure of a grid, with a title above its panels."""
    grid.figure.suptitle(title, y=1.02)
    figure: Figure = grid.figure
    return figure


def middle(values: Iterable[Any]) -> Any:
    """The middle one of the sorted distinct values: what a figure is drawn at where it shows one of an axis."""
    distinct = sorted(set(values))
    return distinct[len(distinct) // 2]


def powers_of_two(axis: Any, values: Iterable[int]) -> None:
    """A base-2 logarithmic x axis with a tick at each value; powers of two are written as such."""
    ticks = sorted(set(values))
    axis.set_xscale("log", base=2)
    axis.set_xticks(
        ticks, [f"$2^{{{tick.bit_length() - 1}}}$" if tick & (tick - 1) == 0 else str(tick) for tick in ticks]
    )
    axis.minorticks_off()
