"""What a test of a suite has as its fixture `benchmark`: a call of it waits until its blocks have been timed.

Only the worker of a suite imports this: it needs pytest.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import pytest

from harness.device.clock import Clock

CLOCK = Clock()

PREPARED_OVER_TIMED = 10.0
"""A block whose calls are prepared one by one may take so many times as long as the calls themselves should."""


class Timed(Protocol):
    """What a test has given to `benchmark`."""

    def once(self) -> None:
        """Call it once, outside every block."""

    def block(self, calls: int) -> float:
        """Seconds of a call over a block of so many."""

    def cost(self, calls: int) -> float:
        """The same as the length of a block is chosen by: what is prepared counts in part."""

    @property
    def result(self) -> Any:
        """What the last call returned."""


@dataclass
class Calls:
    """A function that is called again and again with the same arguments."""

    call: Callable[[], Any]
    kept: list[Any] = field(default_factory=list)

    def once(self) -> None:
        self.kept[:] = [self.call()]

    def block(self, calls: int) -> float:
        return CLOCK.block(self.call, calls, self.kept)

    def cost(self, calls: int) -> float:
        return self.block(calls)

    @property
    def result(self) -> Any:
        return self.kept[0]


@dataclass
class PreparedCalls:
    """A function that has a setup before each call, which may return its arguments, or a teardown after it.

    Both are outside the clock, so every call is timed by itself.
    """

    target: Callable[..., Any]
    setup: Callable[[], Any]
    teardown: Callable[..., Any] | None
    arguments: tuple[tuple[Any, ...], dict[str, Any]]
    kept: list[Any] = field(default_factory=list)

    def once(self) -> None:
        self.block(1)

    def block(self, calls: int) -> float:
        return sum(self._timed() for _ in range(calls)) / calls

    def cost(self, calls: int) -> float:
        begin = time.perf_counter()
        seconds = self.block(calls)
        return max(seconds, (time.perf_counter() - begin) / calls / PREPARED_OVER_TIMED)

    @property
    def result(self) -> Any:
        return self.kept[0]

    def _timed(self) -> float:
        returned = self.setup()
        if returned and any(self.arguments):
            raise TypeError("pedantic: where setup returns the arguments, args and kwargs must be left out")
        args, kwargs = returned or self.arguments
        self.kept.clear()  # the end of an earlier result is no part of this call
        seconds = CLOCK.block(partial(self.target, *args, **kwargs), 1, self.kept)
        if self.teardown is not None:
            self.teardown(*args, **kwargs)
        return seconds


class Measure(Protocol):
    """Has blocks of what a test gave timed, and returns what its last call returned."""

    def __call__(self, timed: Timed) -> Any: ...


class Benchmark:
    """The fixture: `benchmark(function, *args, **kwargs)` and `benchmark.pedantic(...)`, as pytest-benchmark has them.

    How many calls there are is decided by who times them, so `rounds`, `iterations` and the options of the mark
    `benchmark` change nothing.
    """

    enabled = True

    def __init__(self, node: Any, measure: Measure) -> None:
        callspec = getattr(node, "callspec", None)
        self.name, self.fullname = node.name, node.nodeid
        self.param, self.params = getattr(callspec, "id", None), getattr(callspec, "params", None)
        self.group: Any = None
        self.extra_info: dict[str, Any] = {}
        self.stats = None
        self.disabled = self.has_error = self.skipped = False
        self._measure = measure
        self._mode: str | None = None
        self._cleanup_callbacks: list[Callable[[], Any]] = []

    def __call__(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Time the function, and return what its last call returned."""
        self._begin("benchmark(...)")
        return self._measure(Calls(partial(function, *args, **kwargs)))

    def pedantic(
        self,
        target: Callable[..., Any],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
        setup: Callable[[], Any] | None = None,
        teardown: Callable[..., Any] | None = None,
        rounds: int = 1,
        warmup_rounds: int = 0,
        iterations: int = 1,
    ) -> Any:
        """The same with a setup before each call and a teardown after it, neither of which is timed.

        Raises ValueError, as pytest-benchmark does, for several iterations after one setup.
        """
        self._begin("benchmark.pedantic(...)")
        if setup is not None and iterations > 1:
            raise ValueError("pedantic: with a setup there is one iteration a round")
        if setup is None and teardown is None:
            return self._measure(Calls(partial(target, *args, **(kwargs or {}))))
        return self._measure(PreparedCalls(target, setup or _nothing, teardown, (tuple(args), dict(kwargs or {}))))

    def _begin(self, mode: str) -> None:
        if self._mode:
            self.has_error = True
            raise RuntimeError(f"the fixture can be used once in a test; it was used as {self._mode} before")
        self._mode = mode

    def roll_back(self) -> None:
        """Undo what `benchmark.weave` of pytest-benchmark has put in other places."""
        while self._cleanup_callbacks:
            self._cleanup_callbacks.pop()()


def _nothing() -> None:
    return None


def fixture_class() -> type:
    """The class of the fixture. Where pytest-benchmark is installed it derives from that plugin's class: the
    plugin accepts no other, and its class has `weave`, which benchmarks a function of another module.
    """
    try:
        from pytest_benchmark.fixture import BenchmarkFixture
    except ImportError:
        return Benchmark
    return type("Benchmark", (Benchmark, BenchmarkFixture), {})


class FixturePlugin:
    """The plugin that puts the fixture in the place of every other one of this name."""

    def __init__(self, measure: Measure) -> None:
        self._measure = measure

    @pytest.fixture
    def benchmark(self, request: pytest.FixtureRequest) -> Iterator[Any]:
        """Times what the test gives it when the parent asks for it."""
        fixture = fixture_class()(request.node, self._measure)
        yield fixture
        fixture.roll_back()
