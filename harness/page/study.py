"""The section of one run: its answer, then the parts that are folded."""

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
"""Lines of a study's summary that are the answer of a run which has neither times nor errors."""

NO_ANSWER = "It has neither times nor errors, so there is no answer."


def section(reported: Reported, name: str, side: str) -> dict[str, Any]:
    """The variables of the template for one run. A chart is a specification, or None.

    name: the run's name in the contents of the page; side: base or head of a comparison, or ''.
    """
    run = reported.run
    timed = not run.timings.empty
    advised = list(advice(reported.standings)) if timed else []
    exact = exactness(run)
    best = fastest_of(reported.standings) if timed else None
    fastest, setting = (None, "") if best is None else fastest_map(best)
    sentences = list(exactness_sentences(exact))
    by_use: list[Use] = uses(advised)
    answered = bool(by_use or sentences)
    return {
        "name": name,
        "side": side,
        "title": title_of(run),
        "heading": label(run),
        "machine": machine_line(run.info),
        "short": _in_short(in_short(advised), sentences, reported),
        "uses": by_use,
        "exact": sentences,
        "opening": [] if answered else reported.summary[:SHOWN_FINDINGS] or ([] if timed else [NO_ANSWER]),
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


def _in_short(taken: Markup, exact: list[Markup], reported: Reported) -> Markup:
    """The run in one sentence, for the beginning of a page of several runs: which method to take, or else how exact it
    is, or else the first line of its summary."""
    if taken:
        return taken
    if exact:
        return exact[-1]
    return Markup("{}").format(reported.summary[0] if reported.summary else NO_ANSWER)
