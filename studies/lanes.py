"""Figures of a study of one size, which has no axis: each method gets a lane, with its value beside the point."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd
import seaborn as sns
import style
import ticks

LANE_INCHES, FRAME_INCHES, PANEL_INCHES = 0.3, 0.9, 2.6
LONGEST_LINE, LINE_INCHES = 40, 0.17
"""Letters of a name that stand on one line, and its height."""


def lanes(
    rows: pd.DataFrame,
    col: str,
    order: Sequence[str],
    label: Callable[[Any], str],
    tick: Callable[..., str],
    zero: float | None = None,
) -> sns.FacetGrid:
    """A panel for each dtype and phase (or tensor), with a lane for each method.

    rows: columns dtype, method, `col`, value, and low and high, the ends of a bar around the value. col: a column whose
    values have a panel each, in the order `order`. label: makes the text beside a point from its row. tick: makes the
    text of a tick. zero: where 0 is drawn on a logarithmic axis.
    """
    look = style.methods(rows["method"])
    names = look["hue_order"]
    labels = [textwrap.fill(name, LONGEST_LINE) for name in names]
    lines = max(label.count("\n") + 1 for label in labels)
    height = FRAME_INCHES + max(LANE_INCHES, LINE_INCHES * lines) * len(names)
    grid = sns.FacetGrid(
        rows,
        row="dtype",
        row_order=style.present_dtypes(rows["dtype"]),
        col=col,
        col_order=[panel for panel in order if panel in set(rows[col])],
        height=height,
        aspect=PANEL_INCHES / height,
        sharex=False,
    )
    for (dtype, panel), axis in grid.axes_dict.items():
        for _, row in rows[(rows["dtype"] == dtype) & (rows[col] == panel)].iterrows():
            name, value = row["method"], row["value"]
            _point(axis, row, names.index(name), look["markers"][name], look["palette"][name])
            place: dict[str, Any] = {"xytext": (0, 4), "ha": "center", "fontsize": "x-small"}
            axis.annotate(label(row), (value, names.index(name)), textcoords="offset points", **place)
        axis.set_ylim(len(names) - 0.5, -0.7)
        axis.set_yticks(range(len(names)), labels)
        axis.margins(x=0.15)
        _scale(axis, rows.loc[(rows["dtype"] == dtype) & (rows[col] == panel), "value"], tick, zero)
    grid.set_titles("{col_name}, {row_name}")
    return grid


def _point(axis: Any, row: Any, lane: int, marker: str, colour: str) -> None:
    """Draw the value of a row and its bar in a lane."""
    value = row["value"]
    bars = [[max(0.0, value - row["low"])], [max(0.0, row["high"] - value)]]
    edge: dict[str, Any] = {"markeredgewidth": 0.4, "markeredgecolor": "white"}
    axis.errorbar(value, lane, xerr=bars, fmt=marker, color=colour, lw=1.2, markersize=5, **edge)


def _scale(axis: Any, values: pd.Series, tick: Callable[..., str], zero: float | None) -> None:
    """Make the x axis logarithmic where the values allow it; where all of them are 0, give it the one tick 0."""
    if (values > 0).all():
        ticks.log(axis, "x", tick, zero)
    elif (values == 0).all():
        axis.set_xlim(-1, 1)
        axis.set_xticks([0], ["0"])
