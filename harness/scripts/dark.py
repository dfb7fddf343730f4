"""The same figure for a dark page: only its colours change, and nothing is drawn or computed anew.

Light and dark greys change places. A colour keeps its hue, and becomes lighter where it would be lost on the dark
ground. Tiles whose colours begin at white begin at the ground instead, and their text gets a colour that can be read on
the tile.
"""

from __future__ import annotations

import colorsys
from typing import Any

import numpy as np

from harness.scripts.palette import LIGHT_TILE, ON_DARK, luminance

GROUND, INK = "#202027", "#ececf1"
"""Colours of a card of the dark page and of its text (--card and --ink in harness/page/page.css)."""

GREY = 0.12
"""A colour whose largest and smallest channel, from 0 to 1, differ by less than this is a grey."""

MIDDLE_GREY = (0.45, 0.72)
"""Range of greys, from black at 0 to white at 1, that can be seen on both grounds and stay as they are."""

LEAST_CONTRAST = 3.0
"""Least contrast between a mark and the ground (WCAG 2.1, 1.4.11)."""

PAPER = 0.85
"""A colour map with a luminance above this uses white as its paper; a darker one is left as it is."""

LIGHTEST = 0.9
"""Lightness, from 0 to 1, of the strongest colour of a colour map on the dark ground."""

FEW = 16
"""A colour map of at most this many colours names categories, and is no scale."""

KEPT = "colour of a tile"
"""gid of a patch in a legend that stands for tiles: on a dark page too, it has the colour of those tiles."""

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
            if len(artist.get_edgecolor()):  # the mesh of a colour bar has no edges
                artist.set_edgecolor(GROUND)
        elif isinstance(artist, Text):
            artist.set_color(_on_dark(artist.get_color()))
        elif isinstance(artist, Line2D):
            _change(artist, "color", "markerfacecolor", "markeredgecolor")
        elif isinstance(artist, Patch):
            _change(artist, "facecolor", "edgecolor")
        elif isinstance(artist, Collection) and artist.get_array() is None:
            own = (artist.get_facecolor(), artist.get_edgecolor())  # both before one is set, as in _change
            faces, edges = ([_on_dark(colour) for colour in colours] for colours in own)
            artist.set_facecolor(faces)
            artist.set_edgecolor(edges)
    for mesh in meshes:
        _write_on_tiles(mesh)


def _change(artist: Any, *parts: str) -> None:
    """Change colours of an artist; parts: their attributes, such as "edgecolor".

    All are read before one is set: a marker may have the colour of its line, and a grey changed twice is as before.
    """
    colours = {part: getattr(artist, f"get_{part}")() for part in parts}
    for part, colour in colours.items():
        if not isinstance(colour, str) or colour.lower() not in ("none", "auto"):
            getattr(artist, f"set_{part}")(_on_dark(colour))


def _on_dark(colour: Any) -> Any:
    """The colour that replaces this one on the dark ground, as opaque as before."""
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
    """The colour of a tile that names a category: a grey one changes as other greys do, any other stays."""
    return _on_dark(colour) if max(colour[:3]) - min(colour[:3]) < GREY else colour


def _lightened(colour: Colour) -> Colour:
    """The colour, or a lighter one of the same hue that has LEAST_CONTRAST on the dark ground."""
    from matplotlib.colors import to_rgb

    ground = luminance(*to_rgb(GROUND))
    hue, light, saturation = colorsys.rgb_to_hls(*colour)
    while (luminance(*colour) + 0.05) / (ground + 0.05) < LEAST_CONTRAST and light < 1:
        light = min(1.0, light + 0.02)
        colour = colorsys.hls_to_rgb(hue, light, saturation)
    return colour


def _dark_map(colours: Any) -> Any:
    """The colour map with light and dark exchanged, if it uses white as its paper; otherwise itself."""
    from matplotlib.colors import ListedColormap, to_rgb

    table = colours(np.linspace(0, 1, 256))[:, :3]
    if colours.N <= FEW:
        return ListedColormap([_of_tile(colour) for colour in colours(np.arange(colours.N))])
    if max(luminance(*colour) for colour in table) < PAPER:
        return colours
    ground = colorsys.rgb_to_hls(*to_rgb(GROUND))[1]
    changed = []
    for colour in table:
        hue, light, saturation = colorsys.rgb_to_hls(*colour)
        changed.append(colorsys.hls_to_rgb(hue, ground + (1 - light) * (LIGHTEST - ground), saturation))
    return ListedColormap(changed)


def _write_on_tiles(mesh: Any) -> None:
    """Give the text on each tile a colour that can be read on it. A tile is one data unit wide and high."""
    values = np.ma.atleast_2d(mesh.get_array())
    if mesh.axes is None or values.ndim != 2:
        return
    shown = mesh.get_cmap()(mesh.norm(values))
    for text in mesh.axes.texts:
        column, row = (int(np.floor(coordinate)) for coordinate in text.get_position())
        if text.get_transform() is mesh.axes.transData and 0 <= row < values.shape[0] and 0 <= column < values.shape[1]:
            text.set_color(TEXT_ON_LIGHT if luminance(*shown[row, column][:3]) > LIGHT_TILE else INK)
