"""What the figures' axes, tiles and dark copies say and look like, beside what a person could read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot
from matplotlib.colors import ListedColormap, Normalize, to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from harness.scripts.dark import GROUND, KEPT, LEAST_CONTRAST, darken
from harness.scripts.palette import DTYPE_COLOUR, METHOD_STYLE
from tests.test_study_figures import SPEED

ticks, planes = SPEED["ticks"], SPEED["planes"]


@pytest.fixture
def figure() -> Iterator[Figure]:
    made = pyplot.figure(figsize=(4, 3))
    yield made
    pyplot.close(made)


@pytest.mark.parametrize(
    ("low", "high", "want"),
    [
        (0.5, 2.0, [0.5, 0.8, 1, 1.25, 2]),
        (0.97, 1.03, [0.97, 0.98, 0.99, 1, 1.01, 1.02, 1.03]),
        (6.8e-6, 8.8e-6, [7e-6, 7.5e-6, 8e-6, 8.5e-6]),
        (1.15e-5, 1.4e-5, [1.15e-5, 1.2e-5, 1.25e-5, 1.3e-5, 1.35e-5, 1.4e-5]),
        (3.5e-8, 6.5e-8, [3.5e-8, 4e-8, 4.5e-8, 5e-8, 5.5e-8, 6e-8, 6.5e-8]),
        (1.2e9, 1.5e9, [1.2e9, 1.25e9, 1.3e9, 1.35e9, 1.4e9, 1.45e9, 1.5e9]),
        (0.02, 1.2, [0.02, 0.05, 0.1, 0.2, 0.5, 1]),
        (0.09, 1.1, [0.1, 0.2, 0.3, 0.5, 0.8, 1]),
        (0.9, 80, [1, 2, 5, 10, 20, 50]),
        (28, 220, [30, 50, 100, 200]),
        (1e-16, 1.0, [1e-15, 1e-12, 1e-9, 1e-6, 1e-3, 1]),
    ],
)
def test_a_logarithmic_axis_has_round_numbers(low: float, high: float, want: list[float]) -> None:
    assert ticks.RoundNumbers().tick_values(low, high) == pytest.approx(want)


@pytest.mark.parametrize("span", [1.03, 1.2, 1.5, 2.0, 3.3, 7.0, 11.0, 40.0, 1e3, 1e6, 1e17])
def test_every_range_can_be_read(span: float) -> None:
    """Wherever it lies: at least three numbers, and no more than there is room for."""
    for low in [*np.geomspace(1 / span, 1, 37), *np.geomspace(1e-9, 1e9, 53)]:
        found = ticks.RoundNumbers().tick_values(low, low * span)
        assert ticks.FEWEST - 1 <= len(found) <= ticks.MOST, (low, low * span, found)
        assert all(low * (1 - 1e-6) <= each <= low * span * (1 + 1e-6) for each in found)


def test_where_zero_is_drawn_the_tick_says_so(figure: Figure) -> None:
    axis = figure.subplots()
    values = pd.Series([0.0, 2e-8, 3e-4])
    zero = ticks.zero_of(values)
    assert zero is not None
    axis.plot([1, 2, 3], values.clip(lower=zero))
    ticks.log(axis, "y", ticks.error, zero)
    figure.draw_without_rendering()
    told = [each.get_text() for each in axis.get_yticklabels()]
    assert told[0] == "0"
    assert "0" not in told[1:]
    assert ticks.zero_of(pd.Series([0.0, 0.0])) is None
    assert ticks.zero_of(pd.Series([1e-8])) is None


def test_numbers_with_their_units() -> None:
    assert [ticks.seconds(each) for each in (3e-9, 1e-6, 2.5e-5, 1e-3, 0.02, 10)] == [
        "3 ns", "1 µs", "25 µs", "1 ms", "20 ms", "10 s",
    ]  # fmt: skip
    assert [ticks.size_text(each) for each in (64, 1024, 16384, 65537, 128256, 10**6, 10**7, 2**28)] == [
        "64", "1024", "16Ki", "65537", "128256", "1M", "10M", "256Mi",
    ]  # fmt: skip
    assert [ticks.error(each) for each in (1e-8, 2e-8, 0.01, 50)] == ["$10^{-8}$", r"$2\cdot10^{-8}$", "0.01", "50"]
    assert [ticks.times(each) for each in (0.5, 1.0, 1.25, 20.0)] == ["0.5x", "1x", "1.25x", "20x"]


@pytest.mark.parametrize(
    ("value", "low", "high", "want"),
    [
        (1.0, 0.99, 1.01, "1.0x"),
        (1.36, 1.33, 1.39, "1.4x"),
        (71.52, 70.0, 73.0, "72x"),
        (8.1, 4.1, 16.0, "~8.1x"),
        (0.0213, 0.021, 0.0216, "0.021x"),
        (5.4, float("nan"), float("nan"), "~5.4x"),
    ],
)
def test_two_digits_where_they_are_sure(value: float, low: float, high: float, want: str) -> None:
    assert ticks.rounded(value, low, high) == want


def test_a_scale_fits_what_it_tells(figure: Figure) -> None:
    """As fast is the middle; the strongest colour is the farthest value, on either side."""
    scale = planes.ratios(pd.Series([0.1, 1.0, 2.0]))
    assert scale.norm(1.0) == pytest.approx(0.5)
    assert scale.norm(0.1) == pytest.approx(0)
    assert scale.norm(2.0) == pytest.approx(0.5 + np.log(2) / np.log(10) / 2)
    narrow = planes.ratios(pd.Series([0.98, 1.01]))
    assert 0.45 < narrow.norm(0.98) < 0.5
    planes.colour_bar(figure, figure.subplots(), scale, "times", [0.1, 2.0])
    figure.draw_without_rendering()
    told = [each.get_text() for each in figure.axes[-1].get_yticklabels()]
    assert {"0.1x", "0.5x", "1x", "2x"} <= set(told)


# Dark


def luminance(colour: Any) -> float:
    channels = np.array(to_rgb(colour))
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(one: Any, two: Any) -> float:
    low, high = sorted((luminance(one), luminance(two)))
    return (high + 0.05) / (low + 0.05)


def test_lines_markers_bands_and_words_are_seen_on_the_dark_ground(figure: Figure) -> None:
    axis = figure.subplots()
    colours = [*{colour for colour, _ in METHOD_STYLE.values()}, *DTYPE_COLOUR.values(), "0.1", "#262626"]
    for place, colour in enumerate(colours):
        axis.plot([0, 1], [place, place], color=colour, marker="o", markeredgecolor="w", label=colour)
        axis.errorbar([0.5], [place], [0.2], fmt="none", ecolor=colour)
    axis.set_title("title")
    legend = axis.legend()
    darken(figure)
    assert to_hex(figure.get_facecolor()) == to_hex(axis.get_facecolor()) == GROUND
    drawn: list[Any] = [line.get_color() for line in axis.get_lines()] + [axis.title.get_color()]
    drawn += [each.get_edgecolor()[0] for each in axis.collections]
    drawn += [text.get_color() for text in legend.get_texts()]
    assert [to_hex(each) for each in drawn if contrast(each, GROUND) < LEAST_CONTRAST] == []
    assert len({to_hex(each) for each in drawn}) >= len(set(colours)) - 3  # they are still told apart
    assert to_hex(axis.get_lines()[0].get_markeredgecolor()) == GROUND


@pytest.mark.parametrize("colour", ["black", "0.2", "0.9", "#332288", "#E69F00"])
def test_a_marker_has_the_colour_of_its_line_on_the_dark_ground_too(figure: Figure, colour: str) -> None:
    """Its colour may be taken from the line ('auto'), and its edge from its face ('face'): a grey is changed once."""
    axis = figure.subplots()
    axis.plot([0, 1], [0, 1], color=colour, marker="o", label="line")
    points = axis.scatter([0, 1], [1, 0], c=colour, edgecolors="face", label="points")
    axis.errorbar([0.5], [0.5], [0.2], color=colour, marker="s", capsize=2, label="bars")
    legend = axis.legend()
    darken(figure)
    lines = [each for each in [*axis.get_lines(), *legend.get_lines()] if each.get_marker() not in ("None", None, "")]
    marks: list[Any] = [edge for each in lines for edge in (each.get_markerfacecolor(), each.get_markeredgecolor())]
    marks += [*points.get_facecolor(), *points.get_edgecolor()]
    assert len(marks) > 8
    assert {to_hex(each) for each in marks} == {to_hex(axis.get_lines()[0].get_color())}
    assert all(contrast(each, GROUND) > LEAST_CONTRAST for each in marks) or colour == "0.9"


@pytest.mark.parametrize("values", [[[1.0, 5.0, 70.0]], [[0.02, 1.0, 50.0]], [[0.02, 0.3, 1.0]]])
def test_what_stands_on_a_dark_tile_can_be_read(figure: Figure, values: list[list[float]]) -> None:
    axis = figure.subplots()
    table = pd.DataFrame(values)
    scale = planes.ratios(table.stack())
    planes.draw(axis, table, table.map(str), scale)
    darken(figure)
    (mesh,) = axis.collections
    shown = np.asarray(mesh.get_cmap()(mesh.norm(np.asarray(mesh.get_array()))))
    for text in axis.texts:
        column, row = (int(each) for each in text.get_position())
        assert contrast(text.get_color(), shown[row, column][:3]) > LEAST_CONTRAST
    as_fast = shown[0, values[0].index(1.0)][:3]
    assert contrast(as_fast, GROUND) < 1.4  # what was white as paper is dark now


def test_a_legend_of_tiles_has_their_colours(figure: Figure) -> None:
    """Those of a kind are as they were, a grey is that of the ground; a patch that is no tile must be seen."""
    axis = figure.subplots()
    kinds = ["#EEEEEE", "#FDE9B8", "#4FA37C"]
    scale = planes.Scale(ListedColormap(kinds), Normalize(-0.5, 2.5), ticks.number)
    table = pd.DataFrame([[0.0, 1.0, 2.0]])
    planes.draw(axis, table, table.map(str), scale)
    for patch in figure.legend(handles=[Patch(facecolor=kind, label=kind) for kind in kinds]).get_patches():
        patch.set_gid(KEPT)
    darken(figure)
    (mesh,) = axis.collections
    tiles = [to_hex(each) for each in np.asarray(mesh.get_cmap()(mesh.norm(np.array([0.0, 1.0, 2.0]))))]
    assert [to_hex(patch.get_facecolor()) for patch in figure.legends[0].get_patches()] == tiles
    assert tiles[1:] == ["#fde9b8", "#4fa37c"]
    assert contrast(tiles[0], GROUND) < 1.4
