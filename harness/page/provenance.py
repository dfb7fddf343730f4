"""Where a run comes from, in words and as a table of its run.json."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

from harness.page.table import Table
from harness.tables import Run

LEFT_OUT = ("text",)
"""The study's text has a place of its own."""

COMMIT_DIGITS = 8


def title_of(run: Run) -> str:
    """The title of the study, or its name."""
    return str(tomllib.loads(run.info["text"]).get("title", run.name))


def label(run: Run) -> str:
    """The study, when it began, its commit, and which machine's part of it this is, where there are several."""
    told = [run.name, str(run.info["begin"])[:16].replace("T", " "), revision(run), run.part]
    return ", ".join(filter(None, told))


def revision(run: Run) -> str:
    """The commit of the code, and whether it had changes."""
    commit = str(run.info.get("commit", "unknown"))[:COMMIT_DIGITS]
    return commit + ("-dirty" if run.info.get("dirty") else "")


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
    """Every fact of run.json but the study's text, and how much was measured."""
    told = {name: value for name, value in run.info.items() if name not in LEFT_OUT}
    counts = {"launches": run.cells["launch"].nunique(), "cells": run.cells.groupby(["case", "method"]).ngroups}
    return facts_of(told | counts)


def facts_of(info: Mapping[str, Any]) -> dict[str, str]:
    """Facts as text; what lies in another fact is named by both."""
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
