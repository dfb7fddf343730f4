"""What the template shows of one run: its answer, then the parts that are folded."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from harness.page.answer import beware, not_measured, which_method
from harness.page.charts import error_chart, fastest_map
from harness.page.exactness import exactness, exactness_sentences, exactness_tables
from harness.page.provenance import label, machine_line, provenance, title_of
from harness.page.reported import Reported
from harness.page.sentences import Use, in_short, uses
from harness.report.advice import advice
from harness.verdicts.fastest import fastest_of

SHOWN_FINDINGS = 3
"""Of a run without times and without errors: there its study's own findings are the answer."""


def section(reported: Reported, name: str, side: str) -> dict[str, Any]:
    """name: that of the run in the contents; side: base or head of a comparison, or ''. Charts are specifications, or
    None."""
    run = reported.run
    timed = not run.timings.empty
    found = list(advice(reported.standings)) if timed else []
    exact = exactness(run)
    best = fastest_of(reported.standings) if timed else None
    fastest, setting = (None, "") if best is None else fastest_map(best)
    sentences = list(exactness_sentences(exact))
    told: list[Use] = uses(found)
    answered = bool(told or sentences)
    return {
        "name": name,
        "side": side,
        "title": title_of(run),
        "heading": label(run),
        "machine": machine_line(run.info),
        "short": _in_short(in_short(found), sentences, reported),
        "uses": told,
        "exact": sentences,
        "opening": [] if answered else reported.summary[:SHOWN_FINDINGS],
        "beware": list(beware(run)),
        "timed": timed,
        "which_method": [] if best is None else list(which_method(best)),
        "map": fastest,
        "setting": setting,
        "how_exact": list(exactness_tables(exact)),
        "errors": error_chart(run),
        "figures": reported.figures,
        "undrawn": reported.undrawn,
        "summary": reported.summary,
        "not_measured": list(not_measured(run)),
        "provenance": provenance(run),
        "text": run.info["text"],
    }


def _in_short(which: Markup, exact: list[Markup], reported: Reported) -> Markup:
    """One sentence for a page of several runs."""
    if which:
        return which
    if exact:
        return exact[-1]
    return Markup("{}").format(
        reported.summary[0] if reported.summary else "It has neither times nor errors to answer."
    )
