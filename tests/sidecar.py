"""The least that a run.json must have."""

from __future__ import annotations

from typing import Any

from harness.tables import SCHEMA_VERSION

SIDECAR: dict[str, Any] = {
    "schema": SCHEMA_VERSION,
    "study": "trial",
    "text": "",
    "only": [],
    "parameters": {},
    "machine": {"slug": "here"},
    "begin": "2026-01-01T00:00:00+00:00",
    "end": None,
}
