"""The fixture `benchmark` that replaces pytest-benchmark's: a call of it waits while blocks of the test are timed.

Only the worker of a suite imports this module, since it needs pytest.
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
"""A block with a setup before each call may take up to this many times the seconds that its calls should take."""


class Timed(Protocol):
    """A function that a test passed to `benchmark`."""

    def once(self) -> None:
        """Call it once, outside every block."""

    def block(self, calls: int) -> float:
        """Time a block of this many calls; seconds per call."""

    def cost(self, calls: int) -> float:
        """Seconds per call by which the length of a block is chosen: a share of the preparation is included."""

    @property
    def result(self) -> Any:
        """The result of the last call."""


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
    """A function with a setup before each call, which may return the call's arguments, or a teardown after each call.

    Neither is timed, so every call is timed by itself.
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
        self.kept.clear()  # frees the earlier result now, so that this call does not pay for it
        seconds = CLOCK.block(partial(self.target, *args, **kwargs), 1, self.kept)
        if self.teardown is not None:
            self.teardown(*args, **kwargs)
        return seconds


class Measure(Protocol):
    """Waits while the parent has blocks of a function timed, and returns the result of the last call."""

    def __call__(self, timed: Timed) -> Any: ...


class Benchmark:
    """The fixture: `benchmark(function, *args, **kwargs)` and `benchmark.pedantic(...)`, as pytest-benchmark has them.

    The harness decides how often the function is called, so `rounds`, `iterations` and the options of the mark
    `benchmark` have no effect.
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
        """Time `target` with a setup before each call and a teardown after it, neither of which is timed, and return
        the result of the last call.

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
        """Undo the patches of pytest-benchmark's `benchmark.weave`."""
        while self._cleanup_callbacks:
            self._cleanup_callbacks.pop()()


def _nothing() -> None:
    return None


def fixture_class() -> type:
    """The class of the fixture. If pytest-benchmark is installed, it also derives from that plugin's class: the plugin
    accepts no other, and its class has `weave`, which benchmarks a function of another module.
    """
    try:
        from pytest_benchmark.fixture import BenchmarkFixture
    except ImportError:
        return Benchmark
    return type("Benchmark", (Benchmark, BenchmarkFixture), {})


class FixturePlugin:
    """A pytest plugin whose fixture `benchmark` overrides every other fixture of this name."""

    def __init__(self, measure: Measure) -> None:
        self._measure = measure

    @pytest.fixture
    def benchmark(self, request: pytest.FixtureRequest) -> Iterator[Any]:
        """Times the function that the test passes to it, when the parent process asks for it."""
        fixture = fixture_class()(request.node, self._measure)
        yield fixture
        fixture.roll_back()
