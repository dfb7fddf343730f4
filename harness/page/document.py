"""A report: one HTML file that needs nothing else, made from the tables of runs alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from harness.page.assembly import assembled, colours
from harness.page.charts import explorer_frame
from harness.page.compared import Comparison, judged
from harness.page.contents import SUBJECT, names, page_title, sides
from harness.page.packing import DIGITS, packed
from harness.page.provenance import label
from harness.page.reported import Reported
from harness.page.rows import RAW_ROUNDS, carried
from harness.page.study import section
from harness.page.suites import SuiteDuelled, suite_carried, suite_judged, suite_section
from harness.verdicts.fastest import UNRANKED, WHOLE
from harness.verdicts.ratios import FEWEST_LAUNCHES

CHARTS = {"map", "errors", "chart"}
"""What sections and comparisons call theirs."""

SCRIPTS = ("rows", "tables", "choice", "form", "look", "chart", "table", "explorer", "lookup", "folds", "page")


def document(
    reported: Sequence[Reported], comparisons: Sequence[Comparison] = (), suites: Sequence[SuiteDuelled] = ()
) -> str:
    """The HTML of the page. Whatever comes from a file is escaped.

    It begins with the verdicts of the comparisons. Then comes a section for each run, which begins with its answer, and
    last the explorer. The head of each comparison is one of the runs; suites: duels of pytest suites, which come after
    them. Raises UserError where a table cannot be read.
    """
    charts: dict[str, Any] = {}
    runs = [each.run for each in reported]
    paths = [run.path for run in runs]
    compared = {paths.index(each.head.path): each for each in comparisons}
    rounds = RAW_ROUNDS // (len(reported) + len(suites))
    rows = [
        (label(each.run), carried(each.run, each.standings, compared.get(place), rounds))
        for place, each in enumerate(reported)
    ]
    rows += [(each.label, suite_carried(each, rounds)) for each in suites]
    methods = {name for run in runs for name in run.cells["method"].unique()}
    told = zip(reported, names(runs, comparisons), sides(runs, comparisons), strict=True)
    sections = [_kept(charts, place, section(*each)) for place, each in enumerate(told)]
    verdicts = [_kept(charts, place, judged(each)) for place, each in compared.items()]
    for place, suite in enumerate(suites, len(reported)):
        sections.append(_kept(charts, place, suite_section(suite)))
        verdicts.append(_kept(charts, place, suite_judged(suite)))
    return assembled(
        "page/page.html.jinja",
        [f"page/script/{name}.js" for name in SCRIPTS],
        _settings(charts, methods),
        packed(rows),
        title=suites[0].heading
        if not runs and len(suites) == 1
        else page_title(runs, comparisons, [each.name for each in suites]),
        subject=SUBJECT if runs else "",
        sections=sections,
        comparisons=verdicts,
        digits=DIGITS,
    )


def _kept(charts: dict[str, Any], place: int, told: Mapping[str, Any]) -> dict[str, Any]:
    """What is told of a run or a comparison, its charts replaced by the names under which they are kept; place: the
    number of the run."""
    named = {}
    for chart in CHARTS & told.keys():
        named[chart] = f"{chart}-{place}" if told[chart] else ""
        charts |= {named[chart]: told[chart]} if told[chart] else {}
    return {**told, **named, "place": place}


def _settings(charts: Mapping[str, Any], methods: Iterable[str]) -> dict[str, Any]:
    """What the script of the page is told beside the rows; methods: those of all runs."""
    return {
        "charts": charts,
        "explorer": explorer_frame(),
        **colours(methods),
        "phases": WHOLE,
        "unranked": UNRANKED,
        "fewest_launches": FEWEST_LAUNCHES,
    }
