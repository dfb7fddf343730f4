"""A report: one HTML file that needs nothing else, made from the tables of runs alone."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
import vl_convert
from markupsafe import Markup

from harness.report.page.answer import Table, beware, how_exact, which_method
from harness.report.page.charts import changes_chart, error_chart, explorer_frame, fastest_map
from harness.report.page.compared import Comparison
from harness.report.page.provenance import facts, label, machine_line, provenance, title_of
from harness.report.page.rows import DIGITS, RAW_ROUNDS, carried, packed
from harness.report.palette import DTYPE_COLOUR, ON_DARK, SHAPES, VERDICT_COLOUR, method_styles
from harness.tables import Run
from harness.verdicts.fastest import UNRANKED, WHOLE
from harness.verdicts.ratios import FEWEST_LAUNCHES
from harness.verdicts.sides import side_labels, sides_text
from harness.verdicts.wording import change_text, counts_text, quantity_name

TITLE = "Top-k selection in PyTorch"
SHOWN_CHANGES = 30
SCRIPTS = ("rows", "choice", "form", "chart", "table", "lookup", "page")
"""One module when they are joined, in this order."""

TYPES = {".svg": "image/svg+xml", ".png": "image/png"}

DARK_CONFIG = {
    place: {"labelColor": "#d8d8e0", "titleColor": "#ececf1", "gridColor": "#3b3b46", "domainColor": "#777783"}
    for place in ("axis", "legend", "header")
}
"""Vega's colours of what is written on a dark ground."""


@dataclass(frozen=True)
class Drawn:
    """A figure that a study's script drew: its name, what it shows, and its file in one of TYPES; dark: what stands
    for it on a dark page, its format and its bytes."""

    name: str
    caption: str
    path: Path
    dark: tuple[str, bytes] | None = None

    @property
    def address(self) -> str:
        """The file as an address that holds it: of its formats, the smallest."""
        there = (each for each in map(self.path.with_suffix, TYPES) if each.is_file())
        smallest = min(there, key=lambda each: each.stat().st_size)
        return _address(smallest.suffix, smallest.read_bytes())

    @property
    def dark_address(self) -> str:
        """The same of the figure for a dark page; '' where there is none."""
        return _address(f".{self.dark[0]}", self.dark[1]) if self.dark else ""


@dataclass(frozen=True)
class Reported:
    """A run, with what its study's script says of it: figures, the lines of its summary, names of undrawn figures."""

    run: Run
    figures: Sequence[Drawn] = ()
    summary: Sequence[str] = ()
    undrawn: Sequence[str] = ()


def document(reported: Sequence[Reported], comparisons: Sequence[Comparison] = ()) -> str:
    """The HTML of the page. Whatever comes from a file is escaped.

    The head of each comparison is one of the runs. Raises UserError where a table cannot be read.
    """
    charts: dict[str, Any] = {}
    paths = [each.run.path for each in reported]
    compared = {paths.index(each.head.path): each for each in comparisons}
    rounds = RAW_ROUNDS // len(reported)
    rows = [(label(each.run), carried(each.run, compared.get(place), rounds)) for place, each in enumerate(reported)]
    methods = {name for each in reported for name in each.run.cells["method"].unique()}
    template = _environment().from_string(_own("page.html.jinja"))
    return template.render(
        title=TITLE,
        sections=[_section(each, place, charts) for place, each in enumerate(reported)],
        comparisons=[_compared(each, place, charts) for place, each in compared.items()],
        digits=DIGITS,
        settings=_as_json(_settings(charts, methods)),
        payload=Markup(packed(rows)),
        styles=Markup(_of_itables("dt_bundle.css") + _own("page.css")),
        script=Markup("\n".join(_own(f"script/{name}.js") for name in SCRIPTS)),
        datatables=_as_script(_of_itables("dt_bundle.js")),
        vega=_vega(),
    )


def _address(suffix: str, picture: bytes) -> str:
    return f"data:{TYPES[suffix]};base64,{base64.b64encode(picture).decode()}"


def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined, auto_reload=False
    )


def _section(reported: Reported, place: int, charts: dict[str, Any]) -> dict[str, Any]:
    """What the template shows of one run; its charts go into `charts`."""
    run = reported.run
    fastest, setting = fastest_map(run)
    return {
        "title": title_of(run),
        "heading": label(run),
        "machine": machine_line(run),
        "timed": not run.timings.empty,
        "which_method": list(which_method(run)),
        "map": _named(charts, f"map-{place}", fastest),
        "setting": setting,
        "how_exact": list(how_exact(run)),
        "errors": _named(charts, f"errors-{place}", error_chart(run)),
        "beware": list(beware(run)),
        "figures": reported.figures,
        "undrawn": reported.undrawn,
        "summary": reported.summary,
        "provenance": provenance(run),
        "text": run.info["text"],
    }


def _compared(comparison: Comparison, place: int, charts: dict[str, Any]) -> dict[str, Any]:
    """What the template shows of a comparison whose head is the run at this place."""
    base, head, verdicts = comparison.base, comparison.head, comparison.verdicts
    one, two = (label.replace("_", ", ") for label in side_labels(base.info, head.info))
    told = {
        "heading": f"{head.name}: {two} against {one}",
        "place": place,
        "told": sides_text(base.info, head.info),
        "sides": _sides(base, head),
    }
    if verdicts is None:
        return told | {"refusal": comparison.refusal}
    changed = verdicts[verdicts["verdict"] != "same"]
    rows = [
        (row["verdict"], quantity_name(row), change_text(row)) for row in changed.head(SHOWN_CHANGES).to_dict("records")
    ]
    more = f" The first {SHOWN_CHANGES} of {len(changed)}." if len(changed) > SHOWN_CHANGES else ""
    caption = f"What is not the same, the gravest first.{more}"
    return told | {
        "refusal": "",
        "counts": counts_text(verdicts),
        "changes": Table(caption, ("verdict", "quantity", "change"), tuple(rows)) if rows else None,
        "chart": _named(charts, f"changes-{place}", changes_chart(verdicts)),
    }


def _sides(base: Run, head: Run) -> Table:
    """The facts in which the two sides differ."""
    one, two = facts(base), facts(head)
    names = [name for name in {**one, **two} if one.get(name) != two.get(name)]
    rows = tuple((name, one.get(name, "-"), two.get(name, "-")) for name in names)
    return Table("Where the two sides differ", ("fact", "base", "head"), rows)


def _named(charts: dict[str, Any], name: str, spec: Any) -> str:
    """Keep a chart under its name; '' where there is none."""
    if spec is None:
        return ""
    charts[name] = spec
    return name


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
