"""What the page shows of one run."""

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
    """A figure that a study's script drew: its name, what it shows, and its file in one of TYPES; dark: what stands
    for it on a dark page, its format and its bytes."""

    name: str
    caption: str
    path: Path
    dark: tuple[str, bytes] | None = None

    @property
    def address(self) -> str:
        """The file as an address that holds it: of its formats, the smallest."""
        there = (each for each in map(self.path.with_suffix, TYPES) if each.is_file())
        smallest = min(there, key=lambda each: each.stat().st_size)
        return _address(smallest.suffix, smallest.read_bytes())

    @property
    def dark_address(self) -> str:
        """The same of the figure for a dark page; '' where there is none."""
        return _address(f".{self.dark[0]}", self.dark[1]) if self.dark else ""


@dataclass(frozen=True)
class Reported:
    """A run, with what its study's script says of it: figures, the lines of its summary, names of undrawn figures."""

    run: Run
    figures: Sequence[Drawn] = ()
    summary: Sequence[str] = ()
    undrawn: Sequence[str] = ()

    @cached_property
    def standings(self) -> pd.DataFrame:
        """verdicts.fastest.standings() of the times that are believed; of a run without times an empty table."""
        return self.run.timings if self.run.timings.empty else standings(believed(self.run))


def _address(suffix: str, picture: bytes) -> str:
    return f"data:{TYPES[suffix]};base64,{base64.b64encode(picture).decode()}"
