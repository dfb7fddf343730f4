"""Splits a run of several machines or devices into what each of them measured: their times are never mixed."""

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
    """The part of the run `whole` that one machine measured; `info` has the facts of that machine and its torch.

    alone: whether no other machine measured anything.
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
    """The part of the run `whole` that was measured on one device, by one clock (harness/tables/clocks.py).

    subfolder: where its figures are, below the figures of the whole run; '' for the same folder.
    """

    whole: Run = field(kw_only=True)
    device: str = field(kw_only=True)
    clock: str = field(kw_only=True)
    subfolder: str = field(kw_only=True)

    @property
    def part(self) -> str:
        return self.whole.part

    @property
    def figures(self) -> Path:
        return self.whole.figures / self.subfolder

    @property
    def setting(self) -> str:
        return f"{self.device}, by the {self.clock} clock"

    def _read(self, table: str) -> pd.DataFrame:
        rows: pd.DataFrame = getattr(self.whole, table)
        # A fact without a device is about the machine, and so about all its devices.
        rows = rows[rows["device"].isin([self.device, ""] if table == "facts" else [self.device])]
        if table == "timings" and not rows.empty:
            rows = shown_by(rows, self.clock)
        return rows.reset_index(drop=True)


def by_device(run: Run) -> list[Run]:
    """The parts of a run by device and clock; the run itself if it has one device and only the wall clock.

    For a device with two clocks, the first part has all times of the first clock, and the second those of the other
    clock that differ, if there are any (`shown_by`).
    """
    devices = list(run.cells["device"].unique())
    parts: list[Run] = []
    for device in devices:
        rows = run.timings[run.timings["device"] == device]
        first, *others = clocks_of(rows) or [WALL]
        for clock in (first, *(other for other in others if not shown_by(rows, other).empty)):
            names = (device if len(devices) > 1 else "", clock if clock != first else "")
            subfolder = "/".join(filter(None, names))
            parts.append(OnDevice(run.path, run.info, whole=run, device=device, clock=clock, subfolder=subfolder))
    return parts if len(parts) > 1 or DEVICE_CLOCK in set(run.timings["clock"]) else [run]


def by_machine(run: Run) -> list[Run]:
    """The parts of a run by machine; the run itself if one machine measured it outside a cluster.

    Raises UserError if the name of a machine cannot name the folder where its figures are drawn.
    """
    slugs = list(run.cells["machine"].unique())
    if isinstance(run, Part) or not slugs or (len(slugs) == 1 and "machines" not in run.info["machine"]):
        return [run]
    for slug in slugs:
        if not re.fullmatch(FOLDER_NAME, slug):
            raise UserError(f"{run.path / 'cells.csv'}: machine '{slug}' cannot be the name of a folder")
    return [Part(run.path, _sidecar_of(run, slug), whole=run, slug=slug, alone=len(slugs) == 1) for slug in slugs]


def of_one_machine(run: Run) -> Run:
    """The run as the one machine measured it. Raises UserError if several machines did."""
    first, *others = by_machine(run)
    if others:
        slugs = ", ".join(part.part for part in (first, *others))
        raise UserError(f"{run.path}: measured on several machines ({slugs}), whose times cannot be combined")
    return first


def _sidecar_of(run: Run, slug: str) -> dict[str, Any]:
    """run.json with the facts of one kind of machine and its torch in place of the cluster's."""
    facts = dict(run.info["machine"].get("machines", {}).get(slug, {}))
    torch = facts.pop("torch", run.info.get("torch", {}))
    return dict(run.info) | {"machine": facts | {"slug": slug}, "torch": torch}
