"""Planes of coloured tiles with text on them, and the colour bar that explains their colours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import ticks
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, LinearSegmentedColormap, LogNorm, Normalize
from matplotlib.figure import Figure

from harness.scripts.palette import GAIN_COLOURS, LIGHT_TILE, RATIO_COLOURS, luminance

DARK_TEXT, LIGHT_TEXT = "#1c1c22", "#ffffff"
LEAST_RANGE = 1.5
"""Top of a scale of ratios, at least: noise must not have the strongest colour."""


@dataclass(frozen=True)
class Scale:
    """The colour of a value, and the text of a tick of the colour bar."""

    colours: Colormap
    norm: Normalize
    tick: Callable[[float, object], str]


def gains(values: Any) -> Scale:
    """The scale of speed-ups that are not below 1: white at 1x, the strongest colour at the largest."""
    colours = LinearSegmentedColormap.from_list("gains", GAIN_COLOURS)
    return Scale(colours, LogNorm(1, max(LEAST_RANGE, float(np.nanmax(values)))), ticks.times)


def ratios(values: Any) -> Scale:
    """The scale of ratios about 1: white at 1x, and equally strong colours for twice and for half as fast."""
    farthest = float(np.exp(np.nanmax(np.abs(np.log(values)))))
    most = max(LEAST_RANGE, farthest)
    return Scale(LinearSegmentedColormap.from_list("ratios", RATIO_COLOURS), LogNorm(1 / most, most), ticks.times)


def draw(axis: Any, values: pd.DataFrame, texts: pd.DataFrame, scale: Scale, size: float = 8) -> None:
    """Draw a tile for each entry of `values` that is not NaN, the first row on top, with its entry of `texts` on it.

    size: size of the text in points.
    """
    numbers = values.to_numpy(dtype=float)
    axis.pcolormesh(
        np.ma.masked_invalid(numbers), cmap=scale.colours, norm=scale.norm, edgecolors="white", linewidth=1.5
    )
    shown = scale.colours(scale.norm(numbers))
    for row, column in zip(*np.nonzero(np.isfinite(numbers)), strict=True):
        colour = DARK_TEXT if luminance(*shown[row, column][:3]) > LIGHT_TILE else LIGHT_TEXT
        text = texts.iloc[row, column]
        axis.text(column + 0.5, row + 0.5, text, ha="center", va="center", size=size, color=colour, in_layout=False)
    axis.set_ylim(len(numbers), 0)
    name_tiles(axis, [*map(_name, values.columns)], [*map(_name, values.index)])


def name_tiles(axis: Any, columns: Sequence[str], rows: Sequence[str]) -> None:
    """Write the names below the columns and beside the rows, and remove ticks, grid and frame."""
    axis.set_xticks(np.arange(len(columns)) + 0.5, columns)
    axis.set_yticks(np.arange(len(rows)) + 0.5, rows)
    axis.tick_params(length=0)
    axis.grid(visible=False)
    for spine in axis.spines.values():
        spine.set_visible(False)


def _name(value: Any) -> str:
    return ticks.size_text(int(value)) if isinstance(value, int | np.integer) else str(value)


def colour_bar(figure: Figure, axes: Any, scale: Scale, label: str, values: Any, **options: Any) -> None:
    """Draw the colour bar of a scale beside some axes, cut to the range of the values and 1."""
    bar = figure.colorbar(ScalarMappable(scale.norm, scale.colours), ax=axes, label=label, **options)
    low, high = (float(end(np.concatenate([np.ravel(values), [1.0]]))) for end in (np.nanmin, np.nanmax))
    own = bar.ax.yaxis
    if high / low >= LEAST_RANGE:
        bar.ax.set_ylim(low, high)
    own.set_major_locator(ticks.RoundNumbers())
    own.set_major_formatter(scale.tick)
    bar.ax.minorticks_off()
    bar.outline.set_visible(False)
