"""What there is to choose from: studies, methods, distributions, metrics."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.methods import registered
from harness.outside_text import decoded
from harness.precision.causes import CAUSES, CAUSES_METRIC
from harness.precision.metrics import METRICS
from harness.precision.repeats import DIGEST, DIGEST_SUMMARY, REPEAT_METRICS
from harness.precision.selection import SELECTION_METRICS
from harness.study.folders import study_files
from harness.topk.distributions import DISTRIBUTIONS


def listing(studies: Path) -> Iterator[str]:
    """Lines: a heading a kind, then each name with its first line."""
    found = {name: _title(path) for name, path in study_files(studies).items()}
    functions: dict[str, Any] = {**METRICS, **SELECTION_METRICS, **REPEAT_METRICS}
    metrics = {name: (each.__doc__ or "").strip().partition("\n")[0] for name, each in functions.items()}
    metrics[DIGEST] = DIGEST_SUMMARY
    metrics[CAUSES_METRIC] = "How many entries each cause explains: " + ", ".join(CAUSES)
    for heading, entries in (
        ("studies", found),
        ("methods", {name: f"{each.summary} [{' '.join(each.phases)}]" for name, each in registered().items()}),
        ("distributions", {name: each.summary for name, each in DISTRIBUTIONS.items()}),
        ("metrics", metrics),
    ):
        yield f"{heading}:"
        width = max(map(len, entries), default=0)
        for name, summary in entries.items():
            yield f"  {name:{width}}  {summary}"


def _title(path: Path) -> str:
    try:
        return str(tomllib.loads(decoded(path.read_bytes())).get("title", ""))
    except (OSError, ValueError):
        return "(cannot be read)"
