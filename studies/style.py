"""How the figures look: the colours and markers of the report's palette, told to seaborn and matplotlib."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from harness.errors import UserError
from harness.report.palette import DTYPE_COLOUR as DTYPE_COLOUR
from harness.report.palette import METHOD_STYLE as METHOD_STYLE
from harness.report.palette import method_styles
from harness.vocabulary import DTYPES

UNIT_ROUNDOFF = {"float16": 2.0**-11, "bfloat16": 2.0**-8, "float32": 2.0**-24, "float64": 2.0**-53}


def use() -> None:
    """Set the look; called by every figure, since one figure must not depend on those before it."""
    np.random.seed(0)  # by which seaborn scatters the points of a strip: the same rows are to give the same bytes
    sns.set_theme(context="paper", style="whitegrid", font_scale=0.95)
    mpl.rcParams.update(
        {
            "svg.fonttype": "none",
            "savefig.bbox": "tight",
            "axes.titlesize": "medium",
            "axes.titley": 1.0,  # told, since to find it out takes a third of the time of a figure
        }
    )


def methods(present: Iterable[str]) -> dict[str, Any]:
    """palette, markers and order for seaborn: those methods that the data have, in one fixed order."""
    styles = method_styles(present)
    return {
        "hue": "method",
        "hue_order": list(styles),
        "palette": {name: colour for name, (colour, _) in styles.items()},
        "style": "method",
        "style_order": list(styles),
        "markers": {name: marker for name, (_, marker) in styles.items()},
    }


def present_dtypes(present: Iterable[str]) -> list[str]:
    """Those dtypes that the data have, in one fixed order."""
    have = set(present)
    return [dtype for dtype in DTYPES if dtype in have]


def dtypes(present: Iterable[str]) -> dict[str, Any]:
    """palette and order of the dtypes that the data have."""
    names = present_dtypes(present)
    return {"hue": "dtype", "hue_order": names, "palette": {name: DTYPE_COLOUR[name] for name in names}}


def titled(grid: Any, title: str) -> Figure:
    """The figure of a grid, with a title above its panels, however high they and it are."""
    grid.figure.suptitle(title, y=1, va="bottom")
    figure: Figure = grid.figure
    return figure


def some(rows: pd.DataFrame, what: str) -> pd.DataFrame:
    """The rows. Raises UserError where a run, narrowed perhaps, has none: that figure is left out, and said."""
    if rows.empty:
        raise UserError(f"there is no {what} in this run")
    return rows


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
