"""One look for all figures, drawn or on a page: the same method has the same colour and marker everywhere.

Most of the colours are those of Okabe and Ito (2008) and of Tol (2021), which colour-blind people can tell apart.
Markers tell the methods apart in print without colours.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

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
"""method -> its colour and its marker in matplotlib."""

VARIANTS = ("native_unsorted", "csr_at", "straight_through")
"""Variants of another method. Their lines are dashed, because they often lie on the line of that method."""

GAIN_COLOURS = ("#F4F2F8", "#B9A6D8", "#6A4AA5", "#2E1065")
"""Colours of a scale from no gain to the largest."""

RATIO_COLOURS = ("#7F3B08", "#E08214", "#FDD9A8", "#F7F7F7", "#C9BFE3", "#6A4AA5", "#2E1065")
"""Colours of a scale from the slowest to the fastest; the middle one means equally fast."""

OTHER_STYLES = (
    ("#AA3377", "*"), ("#4477AA", "s"), ("#228833", "^"), ("#BB5566", "D"), ("#997700", "v"), ("#444444", "P"),
)  # fmt: skip
"""Styles of the first other methods in the order of their names. Later ones get the same colours with other markers."""

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
"""colour -> its replacement on a dark ground, for colours whose contrast there is under 3 (WCAG 2.1, 1.4.11)."""

SHAPES = {
    "o": "circle", ".": "circle", "H": "circle", "8": "circle", "p": "circle", "h": "circle", "*": "diamond",
    "s": "square", "D": "diamond", "d": "diamond", "^": "triangle-up", "v": "triangle-down", "<": "triangle-left",
    ">": "triangle-right", "P": "cross", "X": "cross",
}  # fmt: skip
"""Marker of matplotlib -> the most similar shape of Vega."""


def luminance(red: float, green: float, blue: float) -> float:
    """Relative luminance of a colour in sRGB, its channels from 0 to 1 (WCAG 2.1)."""
    channels = (red, green, blue)
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


LIGHT_TILE = 0.2
"""Dark text is easier to read on a tile whose luminance is above this, light text on a darker one."""


def method_styles(present: Iterable[str]) -> dict[str, tuple[str, str]]:
    """method -> colour and marker, of the methods that are present: those of METHOD_STYLE in its order, then the others
    by name."""
    have = set(present)
    known = {name: style for name, style in METHOD_STYLE.items() if name in have}
    return known | dict(zip(sorted(have - known.keys()), _other_styles(), strict=False))


def _other_styles() -> Iterator[tuple[str, str]]:
    """OTHER_STYLES, then each of their colours with each of the other markers, and again from the first when all are
    used."""
    count = len(OTHER_STYLES)
    for number in itertools.count():
        colour, marker = number % count, (number + number // count) % count
        yield OTHER_STYLES[colour][0], OTHER_STYLES[marker][1]
