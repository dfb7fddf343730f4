"""A report: one HTML file that needs nothing else, made from the tables of runs alone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import jinja2
import vl_convert
from markupsafe import Markup

from harness.report.page.charts import explorer_frame
from harness.report.page.compared import Comparison, judged
from harness.report.page.contents import SUBJECT, names, page_title, sides
from harness.report.page.provenance import label
from harness.report.page.reported import Reported
from harness.report.page.rows import DIGITS, RAW_ROUNDS, carried, packed
from harness.report.page.study import section
from harness.report.palette import DTYPE_COLOUR, ON_DARK, SHAPES, VERDICT_COLOUR, method_styles
from harness.verdicts.fastest import UNRANKED, WHOLE
from harness.verdicts.ratios import FEWEST_LAUNCHES

CHARTS = {"map", "errors", "chart"}
"""What sections and comparisons call theirs."""

SCRIPTS = ("rows", "choice", "form", "chart", "table", "lookup", "folds", "page")
"""One module when they are joined, in this order."""

DARK_CONFIG = {
    place: {"labelColor": "#d8d8e0", "titleColor": "#ececf1", "gridColor": "#3b3b46", "domainColor": "#777783"}
    for place in ("axis", "legend", "header")
}
"""Vega's colours of what is written on a dark ground."""


def document(reported: Sequence[Reported], comparisons: Sequence[Comparison] = ()) -> str:
    """The HTML of the page. Whatever comes from a file is escaped.

    It begins with the verdicts of the comparisons. Then comes a section for each run, which begins with its answer, and
    last the explorer. The head of each comparison is one of the runs. Raises UserError where a table cannot be read.
    """
    charts: dict[str, Any] = {}
    runs = [each.run for each in reported]
    paths = [run.path for run in runs]
    compared = {paths.index(each.head.path): each for each in comparisons}
    rounds = RAW_ROUNDS // len(reported)
    rows = [
        (label(each.run), carried(each.run, each.standings, compared.get(place), rounds))
        for place, each in enumerate(reported)
    ]
    methods = {name for run in runs for name in run.cells["method"].unique()}
    told = zip(reported, names(runs, comparisons), sides(runs, comparisons), strict=True)
    sections = [_kept(charts, place, section(*each)) for place, each in enumerate(told)]
    verdicts = [_kept(charts, place, judged(each)) for place, each in compared.items()]
    return (
        _environment()
        .from_string(_own("page.html.jinja"))
        .render(
            title=page_title(runs, comparisons),
            subject=SUBJECT,
            sections=sections,
            comparisons=verdicts,
            digits=DIGITS,
            settings=_as_json(_settings(charts, methods)),
            payload=Markup(packed(rows)),
            styles=Markup(_of_itables("dt_bundle.css") + _own("page.css")),
            script=Markup("\n".join(_own(f"script/{name}.js") for name in SCRIPTS)),
            datatables=_as_script(_of_itables("dt_bundle.js")),
            vega=_vega(),
        )
    )


def _kept(charts: dict[str, Any], place: int, told: Mapping[str, Any]) -> dict[str, Any]:
    """What is told of a run or a comparison, its charts replaced by the names under which they are kept; place: the
    number of the run."""
    named = {}
    for chart in CHARTS & told.keys():
        named[chart] = f"{chart}-{place}" if told[chart] else ""
        charts |= {named[chart]: told[chart]} if told[chart] else {}
    return {**told, **named, "place": place}


def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined, auto_reload=False
    )


def _settings(charts: Mapping[str, Any], methods: Iterable[str]) -> dict[str, Any]:
    """What the script of the page is told beside the rows; methods: those of all runs."""
    return {
        "charts": charts,
        "explorer": explorer_frame(),
        "colours": {
            "method": {name: (colour, SHAPES[marker]) for name, (colour, marker) in method_styles(methods).items()},
            "dtype": {name: (colour, "circle") for name, colour in DTYPE_COLOUR.items()},
            "verdict": {name: (colour, "circle") for name, colour in VERDICT_COLOUR.items()},
        },
        "on_dark": ON_DARK,
        "dark": DARK_CONFIG,
        "phases": WHOLE,
        "unranked": UNRANKED,
        "fewest_launches": FEWEST_LAUNCHES,
    }


def _as_json(value: Any) -> Markup:
    """JSON that may stand between script tags."""
    return Markup(json.dumps(value, allow_nan=False).replace("<", "\\u003c"))


def _as_script(code: str) -> Markup:
    """A library that may stand between script tags: no text in it ends them, or begins a comment."""
    return Markup(re.sub("<(?=/script|!--)", r"\\x3c", code, flags=re.IGNORECASE))


@cache
def _vega() -> Markup:
    """Vega and what embeds it, as a script that offers `vegaEmbed`; it takes a second to bundle."""
    return _as_script(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;"))


def _own(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _of_itables(name: str) -> str:
    return files("itables").joinpath("html", name).read_text(encoding="utf-8")
