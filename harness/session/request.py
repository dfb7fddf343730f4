"""What a runner needs to know of what it measures: of the cases and cells of a study, and of the tests of a suite."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from harness.study.tables import Limits, Precision, Timing


class Opened(Protocol):
    """What every side opens at once and is timed in one set of rounds: a case of a study, or a test.

    axes: what tells it from every other, as the worker is told.
    """

    @property
    def device(self) -> str: ...

    @property
    def axes(self) -> Mapping[str, Any]: ...


class Planned(Protocol):
    """One contestant of it: a cell of a case, or the test itself; `skip` is why it will not be measured, or ''."""

    @property
    def method(self) -> str: ...

    @property
    def predicted_bytes(self) -> int: ...

    @property
    def skip(self) -> str: ...


class Asked(Protocol):
    """By which protocol they are measured: a study says so, or a suite."""

    @property
    def timing(self) -> Timing | None: ...

    @property
    def limits(self) -> Limits: ...

    @property
    def phases(self) -> Sequence[str]: ...

    @property
    def comparison(self) -> Precision: ...

    def memory_limit(self, device: str) -> int: ...


def opening(
    case: Opened,
    cores: Sequence[int] = (),
    *,
    phases: Sequence[str] = (),
    loss: str = "linear",
    tensors: Sequence[str] = (),
    references: Sequence[str] = (),
    metrics: Sequence[str] = (),
    block_seconds: float = 0.0,
    fresh_memory: bool = True,
    watch_blocks: bool = False,
) -> dict[str, Any]:
    """The request that opens a case: what of it will be compared and timed, and how.

    cores: none pins nothing; watch_blocks: global state is compared after every block, not only when the case is
    closed.
    """
    return {
        "op": "open",
        "case": case.axes,
        "cores": list(cores),
        "phases": list(phases),
        "loss": loss,
        "tensors": list(tensors),
        "references": list(references),
        "metrics": list(metrics),
        "block_seconds": block_seconds,
        "fresh_memory": fresh_memory,
        "watch_blocks": watch_blocks,
    }
