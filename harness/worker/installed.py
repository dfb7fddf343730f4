"""What lies with an interpreter, or is installed for one, and so is no code of the folder that is measured."""

from __future__ import annotations

import sysconfig
from pathlib import Path

HOMES = tuple(Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib", "purelib", "platlib"))
SITE = {"site-packages", "dist-packages"}
"""Folders of what is installed, also for another interpreter whose packages are added to this one's."""


def is_installed(file: Path) -> bool:
    """Whether the file of a module lies with the interpreter, or with what is installed for this or another one.

    That it lies below sys.prefix says nothing: a project may have its environment in its own folder.
    """
    return not SITE.isdisjoint(file.parts) or any(file.is_relative_to(home) for home in HOMES)
