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
    "csr_at": ("#0072B2", "v"),
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
    "copy": ("#BBBBBB", "."),
    "read": ("#DDAA33", "."),
}
"""method -> colour and matplotlib's marker."""

OTHER_STYLES = (
    ("#AA3377", "*"), ("#4477AA", "s"), ("#228833", "^"), ("#BB5566", "D"), ("#997700", "v"), ("#444444", "P"),
)  # fmt: skip
"""Those of methods that are not named here, in the order of their names, over and over."""

DTYPE_COLOUR = {"bfloat16": "#D55E00", "float16": "#E69F00", "float32": "#0072B2", "float64": "#009E73"}

VERDICT_COLOUR = {
    "lost": "#882255",
    "worse": "#CC3311",
    "slower": "#D55E00",
    "inconclusive": "#999999",
    "new": "#AA4499",
    "better": "#117733",
    "faster": "#009E73",
    "same": "#56B4E9",
}

ON_DARK = {
    "#000000": "#FFFFFF",
    "#332288": "#9385F0",
    "#882255": "#E07AB0",
    "#117733": "#4FBF73",
    "#7A5195": "#B98BD6",
    "#0072B2": "#4BA3E3",
    "#CC3311": "#F0694A",
    "#AA4499": "#D678C6",
    "#444444": "#BBBBBB",
}
"""colour -> the one in its place on a dark ground, where the first has a contrast under 3."""

SHAPES = {
    "o": "circle", ".": "circle", "H": "circle", "8": "circle", "p": "circle", "h": "circle", "*": "diamond",
    "s": "square", "D": "diamond", "d": "diamond", "^": "triangle-up", "v": "triangle-down", "<": "triangle-left",
    ">": "triangle-right", "P": "cross", "X": "cross",
}  # fmt: skip
"""matplotlib's marker -> the nearest shape of Vega."""


def method_styles(present: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Colour and marker of each method that is present: those of METHOD_STYLE in its order, then others by name."""
    have = set(present)
    known = {name: style for name, style in METHOD_STYLE.items() if name in have}
    return known | dict(zip(sorted(have - known.keys()), cycle(OTHER_STYLES), strict=False))
