"""One look for all figures, drawn or on a page: the same method has the same colour and marker everywhere.

Colours are those of Okabe and Ito (2008), and of Tol (2021), which the colour-blind can tell apart; markers say it
again for print in grey.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import cycle

METHOD_STYLE = {
    "native": ("#000000", "o"),
    "native_unsorted": ("#999999", "o"),
    "blockmax": ("#EE3377", "H"),
    "blockmax_triton": ("#F781BF", "H"),
    "sort": ("#CC79A7", "s"),
    "dense": ("#D55E00", "D"),
    "coo": ("#E69F00", "^"),
    "csr": ("#56B4E9", "v"),
    "csr_at": ("#0072B2", "<"),
    "gather": ("#009E73", "P"),
    "fused": ("#7A5195", "X"),
    "numpy_argpartition": ("#117733", "p"),
    "numpy_partition": ("#44AA99", "h"),
    "jax_top_k": ("#6699CC", "*"),
    "cupy_argpartition": ("#CC6677", "p"),
    "flashinfer_top_k": ("#999933", "d"),
    "quack_topk": ("#88CCEE", "8"),
    "sigmoid_shift": ("#CC3311", "<"),
    "straight_through": ("#882255", ">"),
    "entmax_budget": ("#332288", "d"),
    "softtorch_softsort": ("#AA4499", "8"),
    "copy": ("#B9A27C", "."),
    "read": ("#7B5A2E", "."),
}
"""method -> colour and matplotlib's marker."""

VARIANTS = ("native_unsorted", "csr_at", "straight_through")
"""Methods that are nearly another one: their lines are dashed, since they often lie on those of the other."""

GAIN_COLOURS = ("#F4F2F8", "#B9A6D8", "#6A4AA5", "#2E1065")
"""From no gain to the largest."""

RATIO_COLOURS = ("#7F3B08", "#E08214", "#FDD9A8", "#F7F7F7", "#C9BFE3", "#6A4AA5", "#2E1065")
"""From the slowest through as fast (the middle one) to the fastest."""

OTHER_STYLES = (
    ("#AA3377", "*"), ("#4477AA", "s"), ("#228833", "^"), ("#BB5566", "D"), ("#997700", "v"), ("#444444", "P"),
)  # fmt: skip
"""Those of methods that are not named here, in the order of their names, over and over."""

DTYPE_COLOUR = {"bfloat16": "#D55E00", "float16": "#E69F00", "float32": "#0072B2", "float64": "#009E73"}

VERDICT_COLOUR = {
    "lost": "#882255",
    "worse": "#CC3311",
    "slower": "#D55E00",
    "more": "#E69F00",
    "inconclusive": "#999999",
    "new": "#AA4499",
    "better": "#117733",
    "faster": "#009E73",
    "fewer": "#44AA99",
    "same": "#56B4E9",
}

ON_DARK = {
    "#000000": "#FFFFFF",
    "#332288": "#9385F0",
    "#882255": "#E07AB0",
    "#117733": "#4FBF73",
    "#7A5195": "#B98BD6",
    "#0072B2": "#3D8BD4",
    "#CC3311": "#F0694A",
    "#AA4499": "#D678C6",
    "#444444": "#BBBBBB",
    "#7B5A2E": "#A0764A",
    "#B9A27C": "#D9C7A0",
}
"""colour -> the one in its place on a dark ground, where the first has a contrast under 3."""

SHAPES = {
    "o": "circle", ".": "circle", "H": "circle", "8": "circle", "p": "circle", "h": "circle", "*": "diamond",
    "s": "square", "D": "diamond", "d": "diamond", "^": "triangle-up", "v": "triangle-down", "<": "triangle-left",
    ">": "triangle-right", "P": "cross", "X": "cross",
}  # fmt: skip
"""matplotlib's marker -> the nearest shape of Vega."""


def luminance(red: float, green: float, blue: float) -> float:
    """Relative luminance of a colour, its channels from 0 to 1 (WCAG 2.1)."""
    linear = [each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in (red, green, blue)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


LIGHT_TILE = 0.2
"""Luminance of a tile from which dark text is read better on it than light text."""


def method_styles(present: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Colour and marker of each method that is present: those of METHOD_STYLE in its order, then others by name."""
    have = set(present)
    known = {name: style for name, style in METHOD_STYLE.items() if name in have}
    return known | dict(zip(sorted(have - known.keys()), cycle(OTHER_STYLES), strict=False))
