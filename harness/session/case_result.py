"""What became of a case in one launch: of each of its cells, and the blocks that were timed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from harness.session.asked import Planned
from harness.session.sampler import Block


@dataclass
class CellResult:
    """What became of a cell in a launch: status, reason, figures, memory, seconds of wall time spent on it (its part of
    opening the case, its check, its blocks and what is prepared for them), and of these on compiling (NaN: nothing was
    compiled); why the device was throttled meanwhile.

    counts: [phase, calls, instructions a call] of each phase that was counted; None of a worker that cannot count.
    calls: phase -> clock -> calls of a block. void: (phase, why) -> blocks of the device clock that told no time.
    """

    cell: Planned
    side: int = 0
    status: str = "skipped"
    reason: str = ""
    wall_seconds: float = 0.0
    compile_seconds: float = float("nan")
    calls: dict[str, dict[str, int]] = field(default_factory=dict)
    least_bytes: dict[str, int] = field(default_factory=dict)
    memory: list[list[Any]] = field(default_factory=list)
    figures: list[list[Any]] = field(default_factory=list)
    counts: list[list[Any]] | None = None
    throttling: set[str] = field(default_factory=set)
    void: Counter[tuple[str, str]] = field(default_factory=Counter)

    def end(self, status: str, reason: str) -> None:
        """Give the cell up: nothing of it is kept but the reason."""
        self.status, self.reason = status, reason
        self.calls, self.memory, self.figures, self.counts = {}, [], [], None
        self.throttling, self.void, self.compile_seconds = set(), Counter(), float("nan")

    def told(self) -> str:
        """The reason, and what must be said of a cell that is ok all the same."""
        throttled = f"the device's clock was throttled: {', '.join(sorted(self.throttling))}" if self.throttling else ""
        void = [f"{phase}: {count} blocks without device time: {why}" for (phase, why), count in self.void.items()]
        return "; ".join(filter(None, (self.reason, throttled, *void)))


@dataclass
class CaseResult:
    """The cells of a case in one launch, and the blocks of those that are ok."""

    cells: list[CellResult]
    blocks: list[Block] = field(default_factory=list)
