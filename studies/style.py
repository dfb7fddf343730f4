"""How the figures look: the colours and markers of the report's palette, told to seaborn and matplotlib.

What stands beside an axis is in ticks.py, planes of coloured tiles are in planes.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from harness.errors import UserError
from harness.scripts.palette import DTYPE_COLOUR as DTYPE_COLOUR
from harness.scripts.palette import METHOD_STYLE as METHOD_STYLE
from harness.scripts.palette import VARIANTS, method_styles
from harness.vocabulary import DTYPES, YARDSTICKS

UNIT_ROUNDOFF = {"float16": 2.0**-11, "bfloat16": 2.0**-8, "float32": 2.0**-24, "float64": 2.0**-53}

SOLID, DASHED, DOTTED = "", (4, 1.5), (1, 1)


def use() -> None:
    """Set the look; called by every figure, since one figure must not depend on those before it."""
    np.random.seed(0)  # by which seaborn scatters the points of a strip: the same rows are to give the same bytes
    sns.set_theme(context="paper", style="whitegrid", font_scale=0.95)
    mpl.rcParams.update(
        {
            "svg.fonttype": "none",
            "savefig.bbox": "tight",
            "axes.spines.right": False,
            "axes.spines.top": False,
            "axes.titlesize": "medium",
            "axes.titley": 1.0,  # told, since to find it out takes a third of the time of a figure
            "grid.linewidth": 0.7,
            "legend.frameon": False,
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


def lines(present: Iterable[str]) -> dict[str, Any]:
    """What methods() gives, and the dashes of lines: dotted for a yardstick, dashed for what is nearly another."""
    look = methods(present)
    dashes = {name: DASHED if name in VARIANTS else DOTTED if name in YARDSTICKS else SOLID for name in look["markers"]}
    return look | {"dashes": dashes, "markeredgewidth": 0.4}


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


def setting(timings: pd.DataFrame, *axes: str) -> str:
    """Where these times were measured, for a title: 'cpu, 1 thread, rows = 1, wall clock'.

    axes: what is told beside the device and the clock; one that has several values is told with all of them.
    """
    told = ["/".join(timings["device"].unique())]
    for axis in axes:
        values = "/".join(map(str, timings[axis].unique()))
        told.append(f"{values} thread{'' if values == '1' else 's'}" if axis == "threads" else f"{axis} = {values}")
    return ", ".join([*told, f"{'/'.join(timings['clock'].unique())} clock"])


def some(rows: pd.DataFrame, what: str) -> pd.DataFrame:
    """The rows. Raises UserError where a run, narrowed perhaps, has none: that figure is left out, and said."""
    if rows.empty:
        raise UserError(f"there is no {what} in this run")
    return rows


def middle(values: Iterable[Any]) -> Any:
    """The middle one of the sorted distinct values: what a figure is drawn at where it shows one of an axis."""
    distinct = sorted(set(values))
    return distinct[len(distinct) // 2]
