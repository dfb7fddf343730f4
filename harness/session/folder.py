"""The folder of a run: a new one, and the file run.json in it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness.errors import UserError
from harness.machine import Revision, package_revision, utc_now
from harness.study.definition import Study
from harness.tables import SCHEMA_VERSION, parameter_types, replace_text
from harness.version import __version__


def new_folder(parent: Path, label: str) -> Path:
    """Make a folder `<UTC stamp>_<label>` in `parent` that no other run shares. Raises UserError."""
    stamp = utc_now().strftime("%Y%m%dT%H%M%SZ")
    for suffix in ("", *(f"_{number}" for number in range(2, 100))):
        folder = parent / f"{stamp}_{label}{suffix}"
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            continue
        except OSError as error:
            raise UserError(f"{folder}: {error.strerror}") from None
    raise UserError(f"{parent}: too many runs begun in the same second")


def sidecar(
    study: Study,
    machine: Mapping[str, Any],
    revision: Revision,
    torch: Mapping[str, Any],
    pinned_to: Sequence[int],
) -> dict[str, Any]:
    """The content of run.json when a run begins: what is measured, where, and by which code.

    machine: its facts. revision: of the measured code. torch: the greeting of the worker. pinned_to: the core to
    which a case of one thread is pinned. The version and revision of this package are added.
    """
    return {
        "schema": SCHEMA_VERSION,
        "study": study.name,
        "text": study.text,
        "only": list(study.only),
        "parameters": {name: kind.__name__ for name, kind in parameter_types(study.own_axes).items()},
        "commit": revision.commit,
        "dirty": revision.dirty,
        "harness": {"version": __version__, **asdict(package_revision())},
        "machine": machine,
        "torch": torch,
        "pinned_to": list(pinned_to),
        "timing": study.timing.model_dump() if study.timing else None,
        "digests": {"study": hashlib.sha256(study.text.encode()).hexdigest()},
        "begin": utc_now().isoformat(timespec="seconds"),
        "end": None,
    }


def write_info(folder: Path, info: dict[str, Any]) -> None:
    """Write run.json, whole or not at all."""
    replace_text(folder / "run.json", json.dumps(info, indent=1) + "\n")
