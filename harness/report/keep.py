"""Makes a run the reference of its study: compressed enough to commit, and with its figures."""

from __future__ import annotations

import shutil
from pathlib import Path

from harness.errors import UserError
from harness.scripts.drawing import draw_figures
from harness.tables import BASELINE, COMPRESSED, REFERENCE, TABLES, Run, by_machine, compressed, read, stored

LARGE = 1 << 19
"""Bytes beyond which a table is compressed; smaller ones stay plain text that can be read in place."""


def keep(folder: Path, studies: Path) -> Path:
    """Make a run the reference of its study on its machine, and return the new folder.

    The tables are copied (large ones compressed) and the figures drawn; the run itself stays. Raises UserError if the
    run has not ended, was measured with uncommitted changes, or cannot show one of its figures, and if there is already
    a reference.
    """
    run = read(folder)
    if not run.info["end"]:
        raise UserError(f"{folder}: this run has not ended: go on with `harness run --resume {folder}`")
    if run.info.get("dirty"):
        raise UserError(f"{folder}: was measured with uncommitted changes: commit them, and measure again")
    run.check()
    parent = folder.resolve().parent
    reference = (parent.parent if parent.name == BASELINE else parent) / REFERENCE
    if reference.exists():
        raise UserError(f"{reference}: there is already a reference: move it away first, or keep it")
    partial = reference.with_name(f"{REFERENCE}.partial")  # renamed when it is complete, so no reference is ever half
    shutil.rmtree(partial, ignore_errors=True)
    try:
        _copy(run, partial)
        undrawn: list[str] = []
        for part in by_machine(read(partial)):
            draw_figures(part, studies, undrawn.append)
        if undrawn:
            raise UserError(f"{folder}: {undrawn[0]}")
        partial.rename(reference)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return reference


def _copy(run: Run, target: Path) -> None:
    target.mkdir()
    shutil.copy(run.path / "run.json", target)
    for path in (stored(run.path / f"{table}.csv") for table in TABLES):
        if path.exists() and path.suffix != COMPRESSED and path.stat().st_size > LARGE:
            (target / f"{path.name}{COMPRESSED}").write_bytes(compressed(path.read_bytes()))
        elif path.exists():
            shutil.copy(path, target)
