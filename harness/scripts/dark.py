"""The same figure for a dark page: its colours are changed, and nothing is drawn or computed anew.

Greys change places, light with dark; a colour keeps its hue and becomes lighter where the ground would swallow it.
Tiles whose colours begin at white begin at the ground instead, and what is written on them is read against its tile.
"""

from __future__ import annotations

import colorsys
from typing import Any

import numpy as np

from harness.scripts.palette import LIGHT_TILE, ON_DARK, luminance

GROUND, INK = "#202027", "#ececf1"
"""Of a card of the page, and of what is written on it (harness/page/page.css)."""

GREY = 0.12
"""Saturation, (most - least) of the three channels, below which a colour is a grey."""

MIDDLE_GREY = (0.45, 0.72)
"""Greys, from black at 0 to white at 1, that are seen on both grounds."""

LEAST_CONTRAST = 3.0
"""Of what is drawn to the ground (WCAG 2.1, 1.4.11)."""

PAPER = 0.85
"""Luminance of a colour of a map from which it stands for the white of paper."""

LIGHTEST = 0.9
"""Lightness, of 1, of the strongest colour of such a map."""

FEW = 16
"""Colours of a map that are a kind each, and no scale."""

KEPT = "colour of a tile"
"""gid of a patch of a legend that stands for tiles: it has their colour on a dark page too."""

TEXT_ON_LIGHT = "#1c1c22"

Colour = tuple[float, float, float]


def darken(figure: Any) -> None:
    """Change the colours of a matplotlib figure in place, from those of a white page to those of a dark one."""
    from matplotlib.collections import Collection, QuadMesh
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch
    from matplotlib.text import Text

    meshes = figure.findobj(QuadMesh)
    for artist in figure.findobj():
        if artist.get_gid() == KEPT:
            artist.set_facecolor(_of_tile(artist.get_facecolor()))
            artist.set_edgecolor(artist.get_facecolor())
        elif isinstance(artist, QuadMesh):
            artist.set_cmap(_dark_map(artist.get_cmap()))
            if len(artist.get_edgecolor()):  # a colour bar has none between its colours
                artist.set_edgecolor(GROUND)
        elif isinstance(artist, Text):
            artist.set_color(_on_dark(artist.get_color()))
        elif isinstance(artist, Line2D):
            for part in ("color", "markerfacecolor", "markeredgecolor"):
                _change(artist, part)
        elif isinstance(artist, Patch):
            for part in ("facecolor", "edgecolor"):
                _change(artist, part)
        elif isinstance(artist, Collection) and artist.get_array() is None:
            artist.set_facecolor([_on_dark(each) for each in artist.get_facecolor()])
            artist.set_edgecolor([_on_dark(each) for each in artist.get_edgecolor()])
    for mesh in meshes:
        _write_on_tiles(mesh)


def _change(artist: Any, part: str) -> None:
    colour = getattr(artist, f"get_{part}")()
    if not isinstance(colour, str) or colour.lower() not in ("none", "auto"):
        getattr(artist, f"set_{part}")(_on_dark(colour))


def _on_dark(colour: Any) -> Any:
    """What stands for a colour on the dark ground, as opaque as it was."""
    from matplotlib.colors import to_hex, to_rgba

    red, green, blue, alpha = to_rgba(colour)
    channels = (red, green, blue)
    if (named := ON_DARK.get(to_hex(channels).upper())) and named != "#FFFFFF":
        return to_rgba(named, alpha)
    if max(channels) - min(channels) < GREY:
        level = float(np.mean(channels))
        if MIDDLE_GREY[0] <= level <= MIDDLE_GREY[1]:
            return (*channels, alpha)
        dark, light = (np.array(to_rgba(end)[:3]) for end in (INK, GROUND))
        return (*(dark + level * (light - dark)), alpha)
    return (*_lightened(channels), alpha)


def _of_tile(colour: Any) -> Any:
    """A colour that is a kind stays; a grey one becomes that of the dark ground."""
    return _on_dark(colour) if max(colour[:3]) - min(colour[:3]) < GREY else colour


def _lightened(colour: Colour) -> Colour:
    """The colour, or one of its hue that is light enough to be seen on the ground."""
    from matplotlib.colors import to_rgb

    ground = luminance(*to_rgb(GROUND))
    hue, light, saturation = colorsys.rgb_to_hls(*colour)
    while (luminance(*colour) + 0.05) / (ground + 0.05) < LEAST_CONTRAST and light < 1:
        light = min(1.0, light + 0.02)
        colour = colorsys.hls_to_rgb(hue, light, saturation)
    return colour


def _dark_map(colours: Any) -> Any:
    """The map with light and dark exchanged, if it has the white of paper; else itself."""
    from matplotlib.colors import ListedColormap, to_rgb

    table = colours(np.linspace(0, 1, 256))[:, :3]
    if colours.N <= FEW:
        return ListedColormap([_of_tile(each) for each in colours(np.arange(colours.N))])
    if max(luminance(*each) for each in table) < PAPER:
        return colours
    ground = colorsys.rgb_to_hls(*to_rgb(GROUND))[1]
    changed = []
    for colour in table:
        hue, light, saturation = colorsys.rgb_to_hls(*colour)
        changed.append(colorsys.hls_to_rgb(hue, ground + (1 - light) * (LIGHTEST - ground), saturation))
    return ListedColormap(changed)


def _write_on_tiles(mesh: Any) -> None:
    """Give each text that stands on a tile the colour that is read on it; tiles are one wide and one high."""
    values = np.ma.atleast_2d(mesh.get_array())
    if mesh.axes is None or values.ndim != 2:
        return
    shown = mesh.get_cmap()(mesh.norm(values))
    for text in mesh.axes.texts:
        column, row = (int(np.floor(each)) for each in text.get_position())
        if text.get_transform() is mesh.axes.transData and 0 <= row < values.shape[0] and 0 <= column < values.shape[1]:
            text.set_color(TEXT_ON_LIGHT if luminance(*shown[row, column][:3]) > LIGHT_TILE else INK)
