"""The outcome of a case in one launch: its cells, and the blocks that were timed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.session.request import CellLike
from harness.session.sampler import Block


@dataclass
class CellResult:
    """The outcome of a cell in one launch."""

    cell: CellLike
    side: int = 0
    status: str = "skipped"
    reason: str = ""
    wall_seconds: float = 0.0
    """Spent on the cell: its share of opening the case, its check, and its blocks with their preparation."""
    compile_seconds: float = float("nan")
    """The part of wall_seconds spent on compiling; NaN if nothing was compiled."""
    calls: dict[str, dict[str, int]] = field(default_factory=dict)
    """phase -> clock -> calls per block."""
    least_bytes: dict[str, int] = field(default_factory=dict)
    """phase -> bytes that it must move at least."""
    memory: list[list[Any]] = field(default_factory=list)
    """[phase, least bytes, peak bytes] of each phase."""
    figures: list[list[Any]] = field(default_factory=list)
    """Rows of discrepancies.csv, in the order of turn.FIGURE."""
    counts: list[list[Any]] | None = None
    """[phase, calls, instructions per call] of each counted phase; None if the worker cannot count."""
    throttling: set[str] = field(default_factory=set)
    """Why the device was throttled during its blocks."""
    void: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(phase, reason) -> blocks of the device clock without a valid time."""

    def end(self, status: str, reason: str) -> None:
        """Give the cell up: keep only the status and the reason."""
        self.status, self.reason = status, reason
        self.calls, self.memory, self.figures, self.counts = {}, [], [], None
        self.throttling, self.void, self.compile_seconds = set(), Counter(), float("nan")

    def full_reason(self) -> str:
        """The reason, with remarks on a cell that is ok all the same: throttling, and blocks without a device time."""
        throttled = f"the device's clock was throttled: {', '.join(sorted(self.throttling))}" if self.throttling else ""
        void = [f"{phase}: {count} blocks without device time: {why}" for (phase, why), count in self.void.items()]
        return "; ".join(filter(None, (self.reason, throttled, *void)))


@dataclass
class CaseResult:
    """The cells of a case in one launch, and the blocks of those that are ok."""

    cells: list[CellResult]
    blocks: list[Block] = field(default_factory=list)


def measure_anew(results: Sequence[CellResult]) -> None:
    """Discard what was measured of the cells that are ok: their worker has ended."""
    for result in results:
        if result.status == "ok":
            result.end("skipped", "")


def blocks_of_side(blocks: Sequence[Block], side: int, results: Sequence[CellResult]) -> list[Block]:
    """The blocks of one side whose cells are ok."""
    ok = {result.cell.method for result in results if result.status == "ok"}
    return [block for block in blocks if block.arm.side == side and block.arm.method in ok]


def in_phase(phase: str, reason: str) -> str:
    """A reason that names the phase it belongs to, if there is one."""
    return f"{phase}: {reason}" if phase else reason
