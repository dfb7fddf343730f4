"""The request that opens a case on a worker; and what the runner requires of a study's cases or a suite's tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from harness.study.tables import Limits, Precision, Timing


class CaseLike(Protocol):
    """A case of a study, or a test of a suite: every side opens it, and one set of rounds times all of its cells.

    axes: what the worker is sent to tell it from every other case.
    """

    @property
    def device(self) -> str: ...

    @property
    def axes(self) -> Mapping[str, Any]: ...


class CellLike(Protocol):
    """A cell of a case, or a test on one side. skip: why it will not be measured, or ''."""

    @property
    def method(self) -> str: ...

    @property
    def predicted_bytes(self) -> int: ...

    @property
    def skip(self) -> str: ...


class StudyLike(Protocol):
    """A study or a suite: how its cells are to be measured."""

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
    case: CaseLike,
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
    """The request that opens a case and says what will be compared and timed, and how.

    cores: to which the worker pins itself; empty: to none. watch_blocks: the worker compares its global state after
    every block, not only when it closes the case.
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


def opening_of(
    study: StudyLike, case: CaseLike, cores: Sequence[int], *, with_phases: bool, watch_blocks: bool
) -> dict[str, Any]:
    """The request that opens a case of a study.

    cores, watch_blocks: as in `opening`. with_phases: to count the study's phases, even if it times nothing.
    """
    timing, compared = study.timing, study.comparison
    return opening(
        case,
        cores,
        phases=study.phases if timing or with_phases else (),
        loss=compared.loss,
        tensors=compared.tensors,
        references=compared.references,
        metrics=compared.metrics,
        block_seconds=timing.block_seconds if timing else 0.0,
        fresh_memory=timing.fresh_memory if timing else True,
        watch_blocks=watch_blocks,
    )
