"""A turn: one case in one launch, as it is asked for, and what comes of it as rows of every table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.session.case import CaseRunner
from harness.session.case_result import CaseResult
from harness.study.cells import Case, Cell
from harness.tables import Row

Rows = dict[str, list[Row]]
"""table -> its rows of one turn."""


FIGURE = ("tensor", "of", "reference", "metric", "value")
"""What a worker's figure says, in its order."""


@dataclass(frozen=True)
class Turn:
    """One case in one launch: its cells, the seed of its rounds, the seconds that they may take, which of errors and
    memory are measured beside times, and the slug of the machine that measured the case before, or ''."""

    launch: int
    case: Case
    cells: Sequence[Cell]
    seed: int
    seconds: float
    measure: Sequence[str]
    home: str = ""


def take_turn(runner: CaseRunner, turn: Turn, machine: str) -> Rows:
    """Measure a turn; machine: the slug of this one."""
    (result,) = runner.run(turn.case, [turn.cells], turn.seed, turn.seconds, measure=turn.measure)
    return rows_of(turn.case, turn.case.id, turn.launch, machine, result)


def rows_of(case: Case, identity: str, launch: int, machine: str, result: CaseResult) -> dict[str, list[Row]]:
    """The rows of every table for one case in one launch."""

    def key(method: str) -> Row:
        return {"case": identity, "method": method} | case.axes

    return {
        "cells": [
            {
                **key(each.cell.method),
                "launch": launch,
                "status": each.status,
                "reason": each.told(),
                "machine": machine,
                "predicted_bytes": each.cell.predicted_bytes,
                "wall_seconds": each.wall_seconds,
                "compile_seconds": each.compile_seconds,
            }
            for each in result.cells
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
            {**key(each.cell.method), "phase": phase, "launch": launch, "min_bytes": least, "peak_bytes": peak}
            for each in result.cells
            for phase, least, peak in each.memory
        ],
        "discrepancies": [
            {**key(each.cell.method), "launch": launch, **dict(zip(FIGURE, row, strict=True))}
            for each in result.cells
            for row in each.figures
        ],
    }
