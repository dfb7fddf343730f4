"""The charts of the page as Vega-Lite specifications: those of a run, and the frame that the explorer fills."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from harness.report.sizes import commonest
from harness.scripts.palette import DTYPE_COLOUR, GAIN_COLOURS, VERDICT_COLOUR
from harness.tables import Run
from harness.verdicts.fastest import WHOLE
from harness.verdicts.wording import axes_of, quantity_name, two_digits
from harness.vocabulary import DTYPES

Spec = dict[str, Any]

CELL_SIZE = 78
PANEL_WIDTH, PANEL_HEIGHT = 240, 200
MOST_COLUMNS = 12
"""Columns of a map with text in its tiles: with more, the tiles are too narrow for the names of methods."""

ALWAYS_NAMED = ("device", "rows", "d", "distribution")
"""Axes that the caption of a map names even where they do not vary."""

ABOVE = alt.Legend(orient="top")
"""Above the panels, since a legend beside them would stand outside a narrow window."""

TICKS = (1, 1.25, 1.5, 2, 3, 5, 10, 20, 50, 100)
LEAST_TOP = 1.25
"""Top of the colour scale of a map at least, in times as fast as native, so that a tiny gain has a faint colour."""

DARK_TILE = 0.5
"""Share of the colour scale of a map above which white text is easier to read on a tile than black."""

SHOWN_CHANGES = 60
"""Quantities that the chart of changes shows at most."""

DRAWN_TENSORS = ("values", "dx", "dW", "dy")
SELECTIONS = ("selection right", "an index flipped", "flips not measured")


def fastest_map(best: pd.DataFrame) -> tuple[Spec | None, str]:
    """The fastest method in the plane of n and k, and the values of the other axes in words; (None, '') where nothing
    could be ranked. best: the rows of verdicts.fastest.fastest()."""
    if best.empty:
        return None, ""
    best, setting = _at_one_setting(best, ("n", "k", "dtype", "phase"))
    rows = best[["dtype", "phase", "n", "k", "fastest", "standing", "speedup", "low", "high"]].assign(
        gain=np.log2(best["speedup"]), times=best["speedup"].map(two_digits) + "x"
    )
    base = alt.Chart(alt.InlineData(values=_records(rows))).encode(
        x=alt.X("n:O", title="n (length of y)", axis=alt.Axis(labelAngle=0)),
        y=alt.Y("k:O", title="k", sort="descending"),
    )
    most = max(float(rows["gain"].max()), np.log2(LEAST_TOP))
    light = alt.condition(f"datum.gain > {DARK_TILE * most}", alt.value("white"), alt.value("#222222"))
    tiles = base.mark_rect(stroke="#888", strokeWidth=0.5).encode(
        color=alt.Color(
            "gain:Q",
            title="times as fast as native",
            scale=alt.Scale(range=list(GAIN_COLOURS), domain=[0, most], clamp=True),
            legend=alt.Legend(
                orient="top",
                values=[float(np.log2(tick)) for tick in TICKS if np.log2(tick) <= most],
                labelExpr="format(pow(2, datum.value), '.3~g') + 'x'",
            ),
        ),
        tooltip=["fastest:N", "standing:N", "phase:N", "dtype:N", "n:Q", "k:Q", "speedup:Q", "low:Q", "high:Q"],
    )
    layers: list[Any] = [tiles]
    if rows["n"].nunique() <= MOST_COLUMNS:
        layers.append(base.mark_text(dy=-6, fontSize=9, limit=CELL_SIZE - 4).encode(text="fastest:N", color=light))
        layers.append(base.mark_text(dy=7, fontSize=9).encode(text="times:N", color=light))
    phases = [phase for phase in WHOLE if phase in set(rows["phase"])]
    dtypes = [dtype for dtype in DTYPES if dtype in set(rows["dtype"])]
    chart = (
        alt.layer(*layers)
        .properties(width=alt.Step(CELL_SIZE), height=alt.Step(34))
        .facet(column=alt.Column("phase:N", sort=phases, title=None), row=alt.Row("dtype:N", sort=dtypes, title=None))
    )
    return specification(chart, f"The fastest method in the plane of n and k, by phase and dtype, {setting}"), setting


def error_chart(run: Run) -> Spec | None:
    """Relative errors of native against the exact answer over n, by tensor and dtype; None where there are none."""
    rows = _native_errors(run)
    if rows.empty:
        return None
    dtypes = [dtype for dtype in DTYPES if dtype in set(rows["dtype"])]
    tensors = [tensor for tensor in DRAWN_TENSORS if tensor in set(rows["tensor"])]
    shown = rows[["n", "k", "rows", "d", "dtype", "tensor", "value", "flips", "selection"]]
    chart = (
        alt.Chart(alt.InlineData(values=_records(shown)))
        .mark_point(filled=True, size=45, opacity=0.75)
        .encode(
            x=alt.X("n:Q", title="n (length of y)", scale=alt.Scale(type="log", base=2)),
            y=alt.Y(
                "value:Q",
                title="relative error (2-norm)",
                scale=alt.Scale(type="log"),
                axis=alt.Axis(format=".0e"),
            ),
            color=alt.Color(
                "dtype:N",
                title="dtype",
                legend=ABOVE,
                scale=alt.Scale(domain=dtypes, range=[DTYPE_COLOUR[dtype] for dtype in dtypes]),
            ),
            shape=alt.Shape(
                "selection:N",
                title="selection",
                scale=alt.Scale(domain=SELECTIONS, range=["circle", "triangle-up", "square"]),
                legend=ABOVE,
            ),
            tooltip=[f"{name}:{'Q' if name in ('n', 'k', 'rows', 'd', 'value', 'flips') else 'N'}" for name in shown],
        )
        .properties(width=PANEL_WIDTH, height=PANEL_HEIGHT)
        .facet(facet=alt.Facet("tensor:N", sort=tensors, title=None), columns=len(tensors))
    )
    return specification(chart, "Relative error of native against the exact answer over n, by tensor and dtype")


def _native_errors(run: Run) -> pd.DataFrame:
    """The relative errors of native against the exact answer that are above 0, with `flips` and one of SELECTIONS."""
    own = run.discrepancies[(run.discrepancies["of"] == "method") & (run.discrepancies["reference"] == "exact")]
    flips = own[own["metric"] == "flips"].groupby(["case", "method"])["value"].max().rename("flips")
    rows = own[(own["metric"] == "rel_l2") & own["tensor"].isin(DRAWN_TENSORS) & (own["value"] > 0)]
    rows = rows[(rows["method"] == "native") & np.isfinite(rows["value"])]
    rows = rows.merge(flips, on=["case", "method"], how="left")
    flipped = [rows["flips"] == 0, rows["flips"] > 0]
    return rows.assign(selection=np.select(flipped, SELECTIONS[:2], SELECTIONS[2]))


def changes_chart(verdicts: pd.DataFrame) -> Spec | None:
    """Ratios of head to base with their intervals, coloured by verdict; None where there are none."""
    rows = verdicts[np.isfinite(verdicts["ratio"]) & (verdicts["ratio"] > 0)]  # the axis is logarithmic
    rows = rows[rows["kind"].isin(("time", "memory", "instructions"))].head(SHOWN_CHANGES)
    if rows.empty:
        return None
    shown = rows[["kind", "ratio", "low", "high", "verdict"]].assign(
        quantity=[quantity_name(row) for row in rows.to_dict("records")]
    )
    base = alt.Chart(alt.InlineData(values=_records(shown))).encode(
        y=alt.Y("quantity:N", sort=None, title=None, axis=alt.Axis(labelLimit=520)),
        color=alt.Color(
            "verdict:N", scale=alt.Scale(domain=list(VERDICT_COLOUR), range=list(VERDICT_COLOUR.values())), title=None
        ),
        tooltip=["quantity:N", "verdict:N", "ratio:Q", "low:Q", "high:Q"],
    )
    bars = base.mark_rule(strokeWidth=2).encode(
        x=alt.X("low:Q", title="head / base, with its interval", scale=alt.Scale(type="log", nice=False)),
        x2="high:Q",
    )
    points = base.mark_point(filled=True, size=50).encode(x="ratio:Q")
    line = alt.Chart(alt.InlineData(values=[{"one": 1}])).mark_rule(strokeDash=[4, 3]).encode(x="one:Q")
    chart = alt.layer(line, bars, points).properties(width=420, height=alt.Step(16))
    return specification(chart, "Ratios of head to base with their intervals, coloured by verdict")


def explorer_frame() -> Spec:
    """A chart without rows. The script of the page gives it rows `x y low high colour series panel`, titles, scales and
    colours."""
    base = alt.Chart().encode(
        x=alt.X("x:Q", title=""),
        color=alt.Color("colour:N", title=""),
        detail="series:N",
    )
    bars = base.mark_rule(opacity=0.55, strokeWidth=1.5).encode(y=alt.Y("low:Q", title=""), y2="high:Q")
    band = base.mark_area(opacity=0.15).encode(y=alt.Y("low:Q", title=""), y2="high:Q")
    line = base.mark_line(opacity=0.8, strokeWidth=1.5).encode(y=alt.Y("y:Q", title=""))
    points = base.mark_point(filled=True, size=50, opacity=0.9).encode(
        y=alt.Y("y:Q", title=""), shape=alt.Shape("colour:N", title="")
    )
    chart = (
        alt.layer(band, bars, line, points, data=alt.InlineData(values=[]))
        .properties(width=PANEL_WIDTH, height=PANEL_HEIGHT)
        .facet(facet=alt.Facet("panel:N", title=None), columns=3)
    )
    return specification(chart, "The rows that are chosen below")


def specification(chart: Any, description: str) -> Spec:
    """An Altair chart as a Vega-Lite specification that stands on the page's own ground."""
    spec: Spec = chart.properties(description=description).to_dict()
    spec.pop("$schema")  # the page must name no address outside itself
    spec["config"] = {"background": "transparent", "view": {"stroke": None}}
    return spec


def _at_one_setting(rows: pd.DataFrame, shown: Sequence[str]) -> tuple[pd.DataFrame, str]:
    """The rows at the commonest values of the axes that are not shown, and these values in words."""
    kept = commonest(rows, shown)
    others = [axis for axis in axes_of(dict.fromkeys(rows), "phase") if axis not in shown]
    named = [axis for axis in others if rows[axis].nunique() > 1 or axis in ALWAYS_NAMED]
    return kept, ", ".join(f"{axis} = {kept[axis].iloc[0]}" for axis in named)


def _records(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows as JSON can hold them: None for NaN and for what is infinite."""
    return [{str(name): _finite(value) for name, value in row.items()} for row in rows.to_dict("records")]


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
