"""The chart on the page of a history: a Vega-Lite specification that the page's script fills with rows."""

from __future__ import annotations

from typing import Any, Literal

import altair as alt

from harness.page.charts import PANEL_HEIGHT, Spec, specification

BASE_AT = 0.35
"""How far to the left of its head the base of a run is drawn; runs are 1 apart."""

PANEL_WIDTH = 360
STEP_COLOUR = "#777783"
SEEN, STEPS = "seen", "step"


def trend_frame() -> Spec:
    """A chart of rows with `x y y_base low high colour series panel seen step base head`; the page's script sets
    titles, scales and palette.

    A filled point is the head of a judged run, with the interval of the run's ratio; the hollow point to its left is
    the base, and the line between the two is the change that the run measured. A solid vertical line marks a run that
    judged a change, a dotted one a run at which a trend steps; beside it stand the commit and the ratios.
    """
    base = alt.Chart().transform_calculate(x_base=f"datum.x - {BASE_AT}").encode(color=alt.Color("colour:N", title=""))
    head_x, base_x = alt.X("x:Q", title=""), alt.X("x_base:Q", title="")
    head_y, base_y = alt.Y("y:Q", title=""), alt.Y("y_base:Q", title="")
    heads = base.encode(x=head_x, detail="series:N")
    marks = [
        *_marked(SEEN, "", [1, 0], "bottom"),
        *_marked(STEPS, "trend ", [2, 3], "top"),
        heads.mark_line(opacity=0.25, strokeWidth=1).encode(y=head_y),
        base.transform_filter("isValid(datum.y_base)")
        .mark_rule(strokeWidth=1.5, opacity=0.8)
        .encode(x=base_x, y=base_y, x2="x:Q", y2="y:Q"),
        heads.mark_rule(opacity=0.55, strokeWidth=1.5)
        .transform_filter("isValid(datum.low)")
        .encode(y=alt.Y("low:Q", title=""), y2="high:Q"),
        base.transform_calculate(side="'base'")
        .transform_filter("isValid(datum.y_base)")
        .mark_point(filled=False, size=36, strokeWidth=1.5)
        .encode(x=base_x, y=base_y),
        heads.mark_point(filled=True, opacity=0.95).encode(
            y=head_y,
            shape=alt.Shape("colour:N", title=""),
            size=alt.condition("isValid(datum.seen)", alt.value(120), alt.value(50)),
        ),
    ]
    chart = (
        alt.layer(*marks, data=alt.InlineData(values=[]))
        .properties(width=PANEL_WIDTH, height=PANEL_HEIGHT)
        .facet(facet=alt.Facet("panel:N", title=None), columns=2)
        .resolve_scale(y="independent")
    )
    return specification(chart, "The judged runs that are chosen below")


def _marked(name: str, word: str, dash: list[int], side: Literal["top", "bottom"]) -> list[Any]:
    """A vertical line with a label at every run at which rows of a panel have a value in the column `name`.

    word: written before the ratio; dash: the pattern of the line; side: the side of the line on which the label stands,
    `bottom` for left and `top` for right, since the label is rotated.
    """
    several = "datum.least == datum.most ? '' : '..' + format(datum.most, '.2f')"
    how_many = "datum.count > 1 ? ' (' + datum.count + ')' : ''"
    label = f"datum.head + ' {word}' + format(datum.least, '.2f') + ({several}) + 'x' + ({how_many})"
    marked = (
        alt.Chart()
        .transform_filter(f"isValid(datum.{name})")
        .transform_aggregate(least=f"min({name})", most=f"max({name})", count="count()", groupby=["x", "head"])
        .transform_calculate(label=label)
    )
    # aria=False: a screen reader reads the label beside the line, so it need not read the line as well.
    line = marked.mark_rule(color=STEP_COLOUR, strokeDash=dash, aria=False).encode(x=alt.X("x:Q", title=""))
    apart = -2 if side == "bottom" else 2
    text = marked.mark_text(angle=270, align="right", baseline=side, dx=-3, dy=apart, fontSize=10, color=STEP_COLOUR)
    return [line, text.encode(x=alt.X("x:Q", title=""), y=alt.value(0), text="label:N")]
