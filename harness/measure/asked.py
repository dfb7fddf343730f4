"""What a runner needs to know of what it measures: of the cases and cells of a study, and of the tests of a suite."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:  # the worker, which has no pydantic, imports this too
    from harness.study_tables import Limits, Precision, Timing


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
