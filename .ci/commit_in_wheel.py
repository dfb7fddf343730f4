"""The build hook of the wheel: it writes the commit that is built into the package, as harness/commit.json.

A wheel lies in no repository, so its runs could not say otherwise which code measured them. A source distribution has
the file too, and a wheel that is built from one keeps it.
"""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CommitInWheel(BuildHookInterface):
    """hatchling finds this class in the file that pyproject.toml names."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the file to what is built; an editable install is a link to this folder and needs none."""
        sys.path.insert(0, self.root)
        from harness.machine import COMMIT_FILE, package_revision

        if version == "editable" or (Path(self.root) / "harness" / COMMIT_FILE).exists():
            return
        self.folder = tempfile.TemporaryDirectory()
        written = Path(self.folder.name) / COMMIT_FILE
        written.write_text(json.dumps(asdict(package_revision())) + "\n", encoding="utf-8")
        build_data["force_include"][str(written)] = f"harness/{COMMIT_FILE}"
