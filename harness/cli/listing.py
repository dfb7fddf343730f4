"""The lines of `harness list`: studies, methods, distributions and metrics."""

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
    """A heading for each kind, then each name with its summary."""
    titles = {name: _title(path) for name, path in study_files(studies).items()}
    functions: dict[str, Any] = {**METRICS, **SELECTION_METRICS, **REPEAT_METRICS}
    metrics = {name: (function.__doc__ or "").strip().partition("\n")[0] for name, function in functions.items()}
    metrics[DIGEST] = DIGEST_SUMMARY
    metrics[CAUSES_METRIC] = "How many entries each cause explains: " + ", ".join(CAUSES)
    for heading, entries in (
        ("studies", titles),
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
    except (OSError, ValueError, RecursionError):
        return "(cannot be read)"
