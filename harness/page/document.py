"""A report: one HTML file that loads nothing else, made from the tables of runs alone."""

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
from harness.tables import Run
from harness.verdicts.fastest import UNRANKED, WHOLE
from harness.verdicts.ratios import FEWEST_LAUNCHES

CHARTS = {"map", "errors", "chart"}
"""The names under which sections and comparisons hold a chart."""

SCRIPTS = ("rows", "tables", "choice", "form", "look", "chart", "table", "explorer", "lookup", "folds", "page")


def document(
    reported: Sequence[Reported], comparisons: Sequence[Comparison] = (), suites: Sequence[SuiteDuelled] = ()
) -> str:
    """The HTML of the page, in which all text from files is escaped.

    The page begins with the verdicts of the comparisons. Then come a section for each run, which begins with its
    answer, and the explorer. The head of each comparison must be one of the runs. suites: duels of pytest suites, which
    come after the runs. Raises UserError where a table cannot be read.
    """
    charts: dict[str, Any] = {}
    runs = [shown.run for shown in reported]
    paths = [run.path for run in runs]
    known = sides(runs, comparisons)
    compared = {paths.index(comparison.head.path): comparison for comparison in comparisons}
    rounds = RAW_ROUNDS // (len(reported) + len(suites))
    rows = [
        (_labelled(shown.run, side), carried(shown.run, shown.standings, compared.get(place), rounds))
        for place, (shown, side) in enumerate(zip(reported, known, strict=True))
    ]
    rows += [(suite.label, suite_carried(suite, rounds)) for suite in suites]
    methods = {name for run in runs for name in run.cells["method"].unique()}
    named = zip(reported, names(runs, comparisons), known, strict=True)
    sections = [_kept(charts, place, section(*arguments)) for place, arguments in enumerate(named)]
    verdicts = [_kept(charts, place, judged(comparison)) for place, comparison in compared.items()]
    for place, suite in enumerate(suites, len(reported)):
        sections.append(_kept(charts, place, suite_section(suite)))
        verdicts.append(_kept(charts, place, suite_judged(suite)))
    only_a_suite = not runs and len(suites) == 1
    title = suites[0].heading if only_a_suite else page_title(runs, comparisons, [suite.name for suite in suites])
    return assembled(
        "page/page.html.jinja",
        [f"page/script/{name}.js" for name in SCRIPTS],
        _settings(charts, methods),
        packed(rows),
        title=title,
        subject=SUBJECT if runs else "",
        sections=sections,
        comparisons=verdicts,
        digits=DIGITS,
    )


def _labelled(run: Run, side: str) -> str:
    """The label of a run, and its side: both sides of a duel may have one commit."""
    return ", ".join(filter(None, (label(run), side)))


def _kept(charts: dict[str, Any], place: int, shown: Mapping[str, Any]) -> dict[str, Any]:
    """The variables of a section or a comparison, its charts moved to `charts` and replaced by their names there.

    place: the number of the run.
    """
    chart_names = {}
    for chart in CHARTS & shown.keys():
        chart_names[chart] = f"{chart}-{place}" if shown[chart] else ""
        charts |= {chart_names[chart]: shown[chart]} if shown[chart] else {}
    return {**shown, **chart_names, "place": place}


def _settings(charts: Mapping[str, Any], methods: Iterable[str]) -> dict[str, Any]:
    """The constants of the page's script, beside its rows; methods: those of all runs."""
    return {
        "charts": charts,
        "explorer": explorer_frame(),
        **colours(methods),
        "phases": WHOLE,
        "unranked": UNRANKED,
        "fewest_launches": FEWEST_LAUNCHES,
    }
