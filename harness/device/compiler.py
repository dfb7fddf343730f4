"""torch.compile in this process: how it compiles closures, how long that takes, and how often it happens.

Importing torch's compiler takes a second and more, so it is imported at first use: cases of the other transforms never
wait for it.
"""

from __future__ import annotations

import functools
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

MOST_RECOMPILES = 1000
"""torch limits how often it recompiles one code object. Methods share code (harness/methods/definition.py), so torch's
default of 8 is too low for the methods of one case."""


class Compiler:
    """count, seconds: compilations since this object was made, forward and backward, and the time they took."""

    def __init__(self) -> None:
        """Configure torch's compiler for the whole process."""
        import torch._dynamo
        import torch._functorch.config
        import torch._inductor.utils

        torch.compiler.config.force_disable_caches = True  # else compile times depend on what was compiled before
        torch._functorch.config.donated_buffer = False  # `backward` retains its graph and runs it many times
        torch._dynamo.config.recompile_limit = MOST_RECOMPILES
        torch._dynamo.config.accumulated_recompile_limit = MOST_RECOMPILES
        self.count, self.seconds, self._begin = 0, 0.0, 0.0
        self.fresh_cache = torch._inductor.utils.fresh_cache
        self.listen()

    def listen(self) -> None:
        """Register for every compilation; torch.compiler.reset removes that again."""
        torch._dynamo.callback.on_compile_start(self._begun)
        torch._dynamo.callback.on_compile_end(self._ended)

    def _begun(self, *_: Any) -> None:
        self._begin = time.perf_counter()

    def _ended(self, *_: Any) -> None:
        self.count += 1
        self.seconds += time.perf_counter() - self._begin


_compiler = functools.cache(Compiler)


def start_compiler() -> None:
    """Import torch's compiler and configure it for the whole process."""
    _compiler()


def compiled(closure: Callable[..., Any]) -> Callable[..., Any]:
    """The closure through torch.compile; its first call compiles it, for the shapes of its arguments.

    A graph break raises torch's error.
    """
    _compiler()
    # One compile thread means that torch compiles in this process, on the core it is pinned to.
    return torch.compile(closure, fullgraph=True, dynamic=False, options={"compile_threads": 1})


@contextmanager
def compiling(device: str) -> Iterator[Callable[[], float]]:
    """Around the compilation of a method: yields a function that returns the seconds spent on compiling so far.

    The method starts from an empty cache of generated code, except for torch's precompiled C++ headers. Raises torch's
    error if it cannot compile, for example without a C++ compiler.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, _compiler().fresh_cache(dir=folder):
        _warm_up(device)  # one-time costs of the process are not part of a method's compile time
        before = _compiler().seconds
        yield lambda: _compiler().seconds - before


@functools.cache
def _warm_up(device: str) -> None:
    compiled(lambda y: y + 1)(torch.zeros(2, device=device))


def compilations() -> int:
    """How often torch has compiled in this process."""
    return _compiler().count if _compiler.cache_info().currsize else 0


def forget() -> None:
    """Drop everything that was compiled, before the next case."""
    if _compiler.cache_info().currsize:
        torch.compiler.reset()
        _compiler().listen()
