"""Tells installed files, and those of the interpreter, from code of the folder that is measured."""

from __future__ import annotations

import sysconfig
from pathlib import Path

HOMES = tuple(Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib", "purelib", "platlib"))
SITE = {"site-packages", "dist-packages"}
"""Names of the folders of installed packages; also of another interpreter, whose packages may be on this one's path."""


def is_installed(file: Path) -> bool:
    """Whether the file of a module belongs to the interpreter or to an installed package."""
    # Not whether it lies below sys.prefix: a project may keep its environment inside its own folder.
    return not SITE.isdisjoint(file.parts) or any(file.is_relative_to(home) for home in HOMES)
