"""A run made the reference of its study: small enough for git to keep, and with its figures."""

from __future__ import annotations

import shutil
from pathlib import Path

from harness.errors import UserError
from harness.scripts.drawing import draw_figures
from harness.tables import BASELINE, COMPRESSED, REFERENCE, TABLES, Run, by_machine, compressed, read, stored

LARGE = 1 << 19
"""Bytes of a table beyond which it is compressed; a smaller one can be read where it lies."""


def keep(folder: Path, studies: Path) -> Path:
    """Make a run the reference of its study on its machine, and return the new folder.

    The tables are copied, large ones compressed, and the figures drawn; the run itself stays. Raises UserError for a
    run that has not come to its end, is of no commit, or lacks what one of its figures shows, and where there is a
    reference already.
    """
    run = read(folder)
    if not run.info["end"]:
        raise UserError(f"{folder}: has not come to its end: go on with it first")
    if run.info["dirty"]:
        raise UserError(f"{folder}: measured what is in no commit: commit it, and measure again")
    run.check()
    parent = folder.resolve().parent
    reference = (parent.parent if parent.name == BASELINE else parent) / REFERENCE
    if reference.exists():
        raise UserError(f"{reference}: there is a reference already: move it away, or leave it")
    partial = reference.with_name(f"{REFERENCE}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        _copy(run, partial)
        undrawn: list[str] = []
        for each in by_machine(read(partial)):
            draw_figures(each, studies, undrawn.append)
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
