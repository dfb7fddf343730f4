"""The least that a run.json must have."""

from __future__ import annotations

import json
from pathlib import Path
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


def write_info(folder: Path, **changes: Any) -> None:
    """The run.json of a folder."""
    (folder / "run.json").write_text(json.dumps(SIDECAR | changes))
