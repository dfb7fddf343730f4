"""Time to a decision at equal false alarms: the study `instrument`, and how much longer the usual tools take."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import harness
from harness.vocabulary import STUDIES
from tests.acceptance.line import Line

PLANTED = 0.05
TIMES_LESS = 5.0
TOOLS = ("pytest-benchmark", "pyperf", "torch.utils.benchmark")


def measure() -> Iterator[Line]:
    """Seconds a cell of each tool over those of a duel, quiet and busy; what was not reached counts as its longest."""
    sys.path.append(str(STUDIES))
    from instrument import decisions

    run = harness.run(harness.load_study(STUDIES / "instrument.toml"), say=lambda _: None)
    found = decisions(run.facts)
    for load in ("quiet", "busy"):
        chosen = found[(found["load"] == load) & (found["planted"] == PLANTED)]
        seconds, reached = (dict(zip(chosen["tool"], chosen[name], strict=True)) for name in ("seconds", "reached"))
        duel = seconds["duel"] if reached["duel"] else float("nan")
        yield Line(f"seconds a cell until a duel detects {PLANTED:.0%}, {load}", duel, None)
        for tool in TOOLS:
            spent = f"{seconds[tool]:.1f} s" + ("" if reached[tool] else ", not reached")
            bound = None if tool == "torch.utils.benchmark" else TIMES_LESS
            yield Line(f"seconds of {tool} over those, {load} ({spent})", seconds[tool] / duel, bound, at_least=True)
