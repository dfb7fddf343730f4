"""The look of the figures: the colours and markers of the report's palette, for seaborn and matplotlib.

The ticks of axes are in ticks.py, planes of coloured tiles in planes.py.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from harness.errors import UserError
from harness.exact.ulp import FORMATS
from harness.scripts.palette import DTYPE_COLOUR as DTYPE_COLOUR
from harness.scripts.palette import METHOD_STYLE as METHOD_STYLE
from harness.scripts.palette import VARIANTS, method_styles
from harness.vocabulary import DTYPES, YARDSTICKS

UNIT_ROUNDOFF = {dtype: form.unit_roundoff for dtype, form in FORMATS.items()}

SOLID, DASHED, DOTTED = "", (4, 1.5), (1, 1)

WIDEST_TITLE = 1.2
"""A title that is wider than this many figures is broken into lines of at least LEAST_LETTERS: below a much wider one a
single panel and its legend would stand far apart."""

LEAST_LETTERS = 36


def use() -> None:
    """Set the look. Every figure calls this, so that no figure depends on those drawn before it."""
    np.random.seed(0)  # seaborn jitters the points of a strip by it: the same rows must give the same bytes
    sns.set_theme(context="paper", style="whitegrid", font_scale=0.95)
    mpl.rcParams.update(
        {
            "svg.fonttype": "none",
            "savefig.bbox": "tight",
            "axes.spines.right": False,
            "axes.spines.top": False,
            "axes.titlesize": "medium",
            "axes.titley": 1.0,  # fixed: to let matplotlib place titles takes a third of the time of a figure
            "grid.linewidth": 0.7,
            "legend.frameon": False,
        }
    )


def methods(present: Iterable[str]) -> dict[str, Any]:
    """Palette, markers and order for seaborn, of the methods that the data have, in one fixed order."""
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
    """The result of methods(), and the dashes of lines: dotted for a yardstick, dashed for a variant of a method."""
    look = methods(present)
    dashes = {name: DASHED if name in VARIANTS else DOTTED if name in YARDSTICKS else SOLID for name in look["markers"]}
    return look | {"dashes": dashes, "markeredgewidth": 0.4}


def present_dtypes(present: Iterable[str]) -> list[str]:
    """The dtypes that the data have, in one fixed order."""
    have = set(present)
    return [dtype for dtype in DTYPES if dtype in have]


def dtypes(present: Iterable[str]) -> dict[str, Any]:
    """Palette and order for seaborn, of the dtypes that the data have."""
    names = present_dtypes(present)
    return {"hue": "dtype", "hue_order": names, "palette": {name: DTYPE_COLOUR[name] for name in names}}


def titled(grid: Any, title: str) -> Figure:
    """The figure of a grid, with a title above its panels, whatever the heights of both."""
    figure: Figure = grid.figure
    text = figure.suptitle(title, y=1, va="bottom")
    taken = text.get_window_extent().width / figure.bbox.width
    if taken > WIDEST_TITLE:
        longest = max(map(len, title.splitlines()))
        width = max(LEAST_LETTERS, int(longest * WIDEST_TITLE / taken))
        text.set_text("\n".join(textwrap.fill(line, width) for line in title.splitlines()))
    return figure


def setting(timings: pd.DataFrame, *axes: str) -> str:
    """Where and how these times were measured, for a title: 'cpu, 1 thread, rows = 1, wall clock'.

    axes: the axes to name beside the device and the clock, each with all of its values.
    """
    parts = ["/".join(timings["device"].unique())]
    for axis in axes:
        values = "/".join(map(str, timings[axis].unique()))
        parts.append(f"{values} thread{'' if values == '1' else 's'}" if axis == "threads" else f"{axis} = {values}")
    return ", ".join([*parts, f"{'/'.join(timings['clock'].unique())} clock"])


def some(rows: pd.DataFrame, what: str) -> pd.DataFrame:
    """The rows. Raises UserError where there are none, as in a run that was narrowed: then the figure is left out.

    what: the missing rows in words.
    """
    if rows.empty:
        raise UserError(f"there is no {what} in this run")
    return rows


def middle(values: Iterable[Any]) -> Any:
    """The middle one of the sorted distinct values, which a figure takes where it shows a single value of an axis."""
    distinct = sorted(set(values))
    return distinct[len(distinct) // 2]
