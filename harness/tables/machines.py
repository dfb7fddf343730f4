"""A run of several machines or devices, as what each of them measured: their times are never mixed."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from harness.errors import UserError
from harness.tables.clocks import clocks_of, shown_by
from harness.tables.reading import Run
from harness.tables.schema import FOLDER_NAME, WHOLE
from harness.vocabulary import DEVICE_CLOCK, WALL


@dataclass(frozen=True)
class Part(Run):
    """What one machine measured of the run `whole`; its sidecar has the facts of that machine and its torch.

    alone: no other machine measured anything.
    """

    whole: Run = field(kw_only=True)
    slug: str = field(kw_only=True)
    alone: bool = field(kw_only=True)

    @property
    def part(self) -> str:
        return "" if self.alone else self.slug

    @property
    def figures(self) -> Path:
        return super().figures if self.alone else super().figures / self.slug

    def _read(self, table: str) -> pd.DataFrame:
        rows: pd.DataFrame = getattr(self.whole, table)
        if self.alone or table in WHOLE:
            return rows
        if table == "cells":
            return rows[rows["machine"] == self.slug].reset_index(drop=True)
        key = ["case", "launch"]
        mine = pd.MultiIndex.from_frame(self._mine[key])
        return rows[pd.MultiIndex.from_frame(rows[key]).isin(mine)].reset_index(drop=True)

    @cached_property
    def _mine(self) -> pd.DataFrame:
        return self.cells[["case", "launch"]].drop_duplicates()


@dataclass(frozen=True)
class OnDevice(Run):
    """What was measured on one device of the run `whole`, as one clock tells it (harness/tables/clocks.py).

    apart: the folder of its figures, in that of the whole run.
    """

    whole: Run = field(kw_only=True)
    device: str = field(kw_only=True)
    clock: str = field(kw_only=True)
    apart: str = field(kw_only=True)

    @property
    def part(self) -> str:
        return self.whole.part

    @property
    def figures(self) -> Path:
        return self.whole.figures / self.apart

    @property
    def setting(self) -> str:
        return f"{self.device}, by the {self.clock} clock"

    def _read(self, table: str) -> pd.DataFrame:
        rows: pd.DataFrame = getattr(self.whole, table)
        # A fact without a device is of the machine, so of all its devices.
        rows = rows[rows["device"].isin([self.device, ""] if table == "facts" else [self.device])]
        if table == "timings" and not rows.empty:
            rows = shown_by(rows, self.clock)
        return rows.reset_index(drop=True)


def by_device(run: Run) -> list[Run]:
    """What was measured on each device, as each of its clocks tells it; the run itself where that is the wall clock.

    Of a device with two clocks the first has all times; the other those that it tells otherwise, if there are any.
    """
    devices = list(run.cells["device"].unique())
    parts: list[Run] = []
    for device in devices:
        rows = run.timings[run.timings["device"] == device]
        first, *others = clocks_of(rows) or [WALL]
        for clock in (first, *(each for each in others if not shown_by(rows, each).empty)):
            words = (device if len(devices) > 1 else "", clock if clock != first else "")
            apart = "/".join(filter(None, words))
            parts.append(OnDevice(run.path, run.info, whole=run, device=device, clock=clock, apart=apart))
    return parts if len(parts) > 1 or DEVICE_CLOCK in set(run.timings["clock"]) else [run]


def by_machine(run: Run) -> list[Run]:
    """What each machine measured; of a run that is of one machine, and of no cluster, the run itself.

    Raises UserError where a machine has no name that a folder of figures may have.
    """
    slugs = list(run.cells["machine"].unique())
    if isinstance(run, Part) or not slugs or (len(slugs) == 1 and "machines" not in run.info["machine"]):
        return [run]
    for slug in slugs:
        if not re.fullmatch(FOLDER_NAME, slug):
            raise UserError(f"{run.path / 'cells.csv'}: machine '{slug}' is no name of a folder")
    return [Part(run.path, _sidecar_of(run, slug), whole=run, slug=slug, alone=len(slugs) == 1) for slug in slugs]


def of_one_machine(run: Run) -> Run:
    """The run as that of the one machine that measured it. Raises UserError where there are several."""
    first, *others = by_machine(run)
    if others:
        slugs = ", ".join(each.part for each in (first, *others))
        raise UserError(f"{run.path}: measured on several machines ({slugs}), whose times are not taken together")
    return first


def _sidecar_of(run: Run, slug: str) -> dict[str, Any]:
    """The sidecar with the machine and the torch of a kind of machine in place of the cluster's."""
    facts = dict(run.info["machine"].get("machines", {}).get(slug, {}))
    torch = facts.pop("torch", run.info.get("torch", {}))
    return dict(run.info) | {"machine": facts | {"slug": slug}, "torch": torch}
