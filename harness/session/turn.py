"""A turn: one case in one launch, and its outcome as rows of every table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.session.case import CaseRunner
from harness.session.case_result import CaseResult
from harness.study.cells import Case, Cell
from harness.tables import Row

Rows = dict[str, list[Row]]
"""table -> its rows from one turn."""

FIGURE = ("tensor", "of", "reference", "metric", "value")
"""The entries of a figure in a worker's reply, which are columns of discrepancies.csv."""


@dataclass(frozen=True)
class Turn:
    """One case in one launch.

    seed, seconds: of its rounds. measure: which of 'errors', 'memory' and 'repeats' to measure beside times. home: the
    slug of the machine that measured the case in an earlier launch, or ''.
    """

    launch: int
    case: Case
    cells: Sequence[Cell]
    seed: int
    seconds: float
    measure: Sequence[str]
    home: str = ""


def take_turn(runner: CaseRunner, turn: Turn, machine: str) -> Rows:
    """Measure a turn; machine: the slug of this machine."""
    (result,) = runner.run(turn.case, [turn.cells], turn.seed, turn.seconds, measure=turn.measure)
    return rows_of(turn.case, turn.case.id, turn.launch, machine, result)


def rows_of(case: Case, identity: str, launch: int, machine: str, result: CaseResult) -> dict[str, list[Row]]:
    """The rows of every table for one case in one launch. identity: of the case; machine: the slug of this machine."""

    def key(method: str) -> Row:
        return {"case": identity, "method": method} | case.axes

    return {
        "cells": [
            {
                **key(cell.cell.method),
                "launch": launch,
                "status": cell.status,
                "reason": cell.full_reason(),
                "machine": machine,
                "predicted_bytes": cell.cell.predicted_bytes,
                "wall_seconds": cell.wall_seconds,
                "compile_seconds": cell.compile_seconds,
            }
            for cell in result.cells
        ],
        "timings": [
            {
                **key(block.arm.method),
                "phase": block.arm.phase,
                "clock": block.arm.clock,
                "launch": launch,
                "round": block.round,
                "position": block.position,
                "calls": block.arm.calls,
                "seconds": block.seconds,
            }
            for block in result.blocks
        ],
        "memory": [
            {**key(cell.cell.method), "phase": phase, "launch": launch, "min_bytes": least, "peak_bytes": peak}
            for cell in result.cells
            for phase, least, peak in cell.memory
        ],
        "discrepancies": [
            {**key(cell.cell.method), "launch": launch, **dict(zip(FIGURE, figure, strict=True))}
            for cell in result.cells
            for figure in cell.figures
        ],
    }
