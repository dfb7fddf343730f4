"""Puts a page together: its template, the libraries that draw its charts and tables, its scripts and its colours."""

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

from harness.scripts.palette import DTYPE_COLOUR, ON_DARK, SHAPES, VERDICT_COLOUR, method_styles

ROOM = "harness"
"""The package that holds the templates, the scripts and the styles."""

STYLES = "page/page.css"

DARK_CONFIG = {
    place: {"labelColor": "#d8d8e0", "titleColor": "#ececf1", "gridColor": "#3b3b46", "domainColor": "#777783"}
    for place in ("axis", "legend", "header")
}
"""Vega's colours of axes, legends and headers on a dark ground."""


def assembled(template: str, scripts: Sequence[str], settings: Mapping[str, Any], payload: str, **shown: Any) -> str:
    """The HTML of a page from its template, which extends page/layout.html.jinja.

    scripts: files that are joined in this order into one JavaScript module; settings: its constants; payload: the rows,
    as `packed` returns them; shown: the variables of the template, which escapes them.
    """
    return (
        _environment()
        .get_template(template)
        .render(
            settings=as_json(settings),
            payload=Markup(payload),
            styles=Markup(_of_itables("dt_bundle.css") + _own(STYLES)),
            script=Markup("\n".join(map(_own, scripts))),
            datatables=_as_script(_of_itables("dt_bundle.js")),
            vega=_vega(),
            **shown,
        )
    )


def colours(methods: Iterable[str]) -> dict[str, Any]:
    """The part of the settings that says how things look; methods: those that the page shows."""
    return {
        "colours": {
            "method": {name: (colour, SHAPES[marker]) for name, (colour, marker) in method_styles(methods).items()},
            "dtype": {name: (colour, "circle") for name, colour in DTYPE_COLOUR.items()},
            "verdict": {name: (colour, "circle") for name, colour in VERDICT_COLOUR.items()},
        },
        "on_dark": ON_DARK,
        "dark": DARK_CONFIG,
    }


def as_json(value: Any) -> Markup:
    """The value as JSON that can stand between script tags: no text in it can end them."""
    return Markup(json.dumps(value, allow_nan=False).replace("<", "\\u003c"))


def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        autoescape=True,
        loader=jinja2.FunctionLoader(_own),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        auto_reload=False,
    )


def _as_script(code: str) -> Markup:
    """A library that can stand between script tags: no text in it ends them or begins a comment."""
    return Markup(re.sub("<(?=/script|!--)", r"\\x3c", code, flags=re.IGNORECASE))


@cache
def _vega() -> Markup:
    """Vega and vega-embed as a script that defines `vegaEmbed`. Cached, since bundling takes a second."""
    return _as_script(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;"))


def _own(name: str) -> str:
    return files(ROOM).joinpath(name).read_text(encoding="utf-8")


def _of_itables(name: str) -> str:
    return files("itables").joinpath("html", name).read_text(encoding="utf-8")
