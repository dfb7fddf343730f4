"""One run with everything that its section of the page shows."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from harness.tables import Run
from harness.verdicts.fastest import standings
from harness.verdicts.plausible import believed

TYPES = {".svg": "image/svg+xml", ".png": "image/png"}


@dataclass(frozen=True)
class Drawn:
    """A figure that a study's script drew.

    path: its file, in one of TYPES; dark: the same figure for a dark page, its format and its bytes.
    """

    name: str
    caption: str
    path: Path
    dark: tuple[str, bytes] | None = None

    @property
    def address(self) -> str:
        """A data URL of the figure, in the format whose file is the smallest."""
        files = (path for path in map(self.path.with_suffix, TYPES) if path.is_file())
        smallest = min(files, key=lambda path: path.stat().st_size)
        return _address(smallest.suffix, smallest.read_bytes())

    @property
    def dark_address(self) -> str:
        """A data URL of the figure for a dark page; '' where there is none."""
        return _address(f".{self.dark[0]}", self.dark[1]) if self.dark else ""


@dataclass(frozen=True)
class Reported:
    """A run, with the figures and the lines of the summary that its study's script made of it.

    undrawn: the names of the figures that could not be drawn.
    """

    run: Run
    figures: Sequence[Drawn] = ()
    summary: Sequence[str] = ()
    undrawn: Sequence[str] = ()

    @cached_property
    def standings(self) -> pd.DataFrame:
        """verdicts.fastest.standings() of the believed times of the run; an empty table where it has no times."""
        return self.run.timings if self.run.timings.empty else standings(believed(self.run))


def _address(suffix: str, picture: bytes) -> str:
    return f"data:{TYPES[suffix]};base64,{base64.b64encode(picture).decode()}"
