"""Where a run comes from: in a few words, and as a table of the facts in its run.json."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

from harness.machine import Revision
from harness.page.table import Table
from harness.tables import Run

LEFT_OUT = ("text",)
"""Facts that are not in the table: the text of the study has a place of its own on the page."""


def title_of(run: Run) -> str:
    """The title of the study, or its name."""
    return str(tomllib.loads(run.info["text"]).get("title", run.name))


def label(run: Run) -> str:
    """The study, when the run began, its commit, and its machine where several machines measured it."""
    parts = [run.name, str(run.info["begin"])[:16].replace("T", " "), revision(run), run.part]
    return ", ".join(filter(None, parts))


def revision(run: Run) -> str:
    """The commit of the code, and '-dirty' where it had uncommitted changes."""
    return Revision(str(run.info.get("commit", "unknown")), bool(run.info.get("dirty"))).label


def machine_line(info: Mapping[str, Any]) -> str:
    """CPU, cores, accelerator, and the version of torch, or of Python where a suite was measured.

    info: run.json, or suite.json, which names no torch of its own.
    """
    machine, torch = info["machine"], info.get("torch", {})
    cores = f"{machine['cores']} cores" if "cores" in machine else None
    software = f"Python {info['python']}" if "suite" in info else f"torch {torch.get('torch', 'unknown')}"
    parts = (machine.get("cpu"), cores, machine.get("accelerator"), software)
    return ", ".join(str(part) for part in parts if part)


def facts(run: Run) -> dict[str, str]:
    """The facts of run.json except the study's text, and how many launches and cells were measured."""
    info = {name: value for name, value in run.info.items() if name not in LEFT_OUT}
    counts = {"launches": run.cells["launch"].nunique(), "cells": run.cells.groupby(["case", "method"]).ngroups}
    return facts_of(info | counts)


def facts_of(info: Mapping[str, Any]) -> dict[str, str]:
    """The facts as text. A fact inside another one is named by both, as in `machine.cpu`."""
    return dict(_flat(info))


def provenance(run: Run) -> Table:
    """The facts of a run as a table."""
    return Table("run.json, and how much was measured", ("fact", "value"), tuple(facts(run).items()))


def _flat(facts: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    for name, value in facts.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}.")
        elif isinstance(value, list):
            yield f"{before}{name}", ", ".join(map(str, value)) or "-"
        else:
            yield f"{before}{name}", "-" if value in (None, "") else str(value)
