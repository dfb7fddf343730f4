"""Planes of coloured tiles, with what they say written on them, and the colour bar that tells their colours."""

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
"""Of a scale of ratios, its top over 1: noise is not to have the strongest colour."""


@dataclass(frozen=True)
class Scale:
    """Which colour a value has, and how the colour bar tells it."""

    colours: Colormap
    norm: Normalize
    told: Callable[[float, object], str]


def gains(values: Any) -> Scale:
    """Of speed-ups that are not below 1: white at 1x, the strongest colour at the largest."""
    colours = LinearSegmentedColormap.from_list("gains", GAIN_COLOURS)
    return Scale(colours, LogNorm(1, max(LEAST_RANGE, float(np.nanmax(values)))), ticks.times)


def ratios(values: Any) -> Scale:
    """Of ratios about 1: white at 1x, and twice as fast as strong a colour as half as fast."""
    farthest = float(np.exp(np.nanmax(np.abs(np.log(values)))))
    most = max(LEAST_RANGE, farthest)
    return Scale(LinearSegmentedColormap.from_list("ratios", RATIO_COLOURS), LogNorm(1 / most, most), ticks.times)


def draw(axis: Any, values: pd.DataFrame, told: pd.DataFrame, scale: Scale, size: float = 8) -> None:
    """A tile for each entry of `values` that is not NaN, the first row on top, with the text of `told` on it.

    size: of the text, in points.
    """
    numbers = values.to_numpy(dtype=float)
    axis.pcolormesh(
        np.ma.masked_invalid(numbers), cmap=scale.colours, norm=scale.norm, edgecolors="white", linewidth=1.5
    )
    shown = scale.colours(scale.norm(numbers))
    for row, column in zip(*np.nonzero(np.isfinite(numbers)), strict=True):
        colour = DARK_TEXT if luminance(*shown[row, column][:3]) > LIGHT_TILE else LIGHT_TEXT
        text = told.iloc[row, column]
        axis.text(column + 0.5, row + 0.5, text, ha="center", va="center", size=size, color=colour, in_layout=False)
    axis.set_ylim(len(numbers), 0)
    name_tiles(axis, [*map(_name, values.columns)], [*map(_name, values.index)])


def name_tiles(axis: Any, columns: Sequence[str], rows: Sequence[str]) -> None:
    """The names below the columns and beside the rows, without lines between them."""
    axis.set_xticks(np.arange(len(columns)) + 0.5, columns)
    axis.set_yticks(np.arange(len(rows)) + 0.5, rows)
    axis.tick_params(length=0)
    axis.grid(visible=False)
    for spine in axis.spines.values():
        spine.set_visible(False)


def _name(value: Any) -> str:
    return ticks.size_text(int(value)) if isinstance(value, int | np.integer) else str(value)


def colour_bar(figure: Figure, axes: Any, scale: Scale, label: str, values: Any, **options: Any) -> None:
    """The bar of a scale beside some axes, no longer than the values need."""
    bar = figure.colorbar(ScalarMappable(scale.norm, scale.colours), ax=axes, label=label, **options)
    low, high = (float(each(np.concatenate([np.ravel(values), [1.0]]))) for each in (np.nanmin, np.nanmax))
    own = bar.ax.yaxis
    if high / low >= LEAST_RANGE:
        bar.ax.set_ylim(low, high)
    own.set_major_locator(ticks.RoundNumbers())
    own.set_major_formatter(scale.told)
    bar.ax.minorticks_off()
    bar.outline.set_visible(False)
