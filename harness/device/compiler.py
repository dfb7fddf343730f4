"""torch.compile in this process: how closures are compiled, how long that takes, and how often it happens.

torch imports what compiles at the first use of it, for a second and more: no case of another transform waits for that.
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
"""Methods share code (harness/methods/definition.py), and torch counts what it compiles by code: its own limit, 8, is
too low for those of one case."""


class Compiler:
    """count, seconds: of all that torch has compiled since it was made, forward and backward."""

    def __init__(self) -> None:
        """Set what is set for a whole process: no caches, lest a figure depend on what was compiled before."""
        import torch._dynamo
        import torch._functorch.config
        import torch._inductor.utils

        torch.compiler.config.force_disable_caches = True
        torch._functorch.config.donated_buffer = False  # the graph of `backward` is kept, and used again
        torch._dynamo.config.recompile_limit = MOST_RECOMPILES
        torch._dynamo.config.accumulated_recompile_limit = MOST_RECOMPILES
        self.count, self.seconds, self._begin = 0, 0.0, 0.0
        self.fresh_cache = torch._inductor.utils.fresh_cache
        self.listen()

    def listen(self) -> None:
        """Be told of every compilation, until torch.compiler.reset."""
        torch._dynamo.callback.on_compile_start(self._begun)
        torch._dynamo.callback.on_compile_end(self._ended)

    def _begun(self, *_: Any) -> None:
        self._begin = time.perf_counter()

    def _ended(self, *_: Any) -> None:
        self.count += 1
        self.seconds += time.perf_counter() - self._begin


_compiler = functools.cache(Compiler)


def start_compiler() -> None:
    """Import what compiles, and set what is set for a whole process."""
    _compiler()


def compiled(closure: Callable[..., Any]) -> Callable[..., Any]:
    """The closure through torch.compile, whole (a break of the graph raises what torch says of it) and for the shapes
    that it is called with. It is compiled in this process, on its core, when it is first called.
    """
    _compiler()
    return torch.compile(closure, fullgraph=True, dynamic=False, options={"compile_threads": 1})


@contextmanager
def compiling(device: str) -> Iterator[Callable[[], float]]:
    """While a method is compiled: yields what tells the seconds of that so far.

    No generated code is found from before, but for torch's precompiled C++ headers, and what a process pays once is
    paid already. Raises what torch raises where it cannot compile, such as for want of a C++ compiler.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, _compiler().fresh_cache(dir=folder):
        _warm_up(device)
        before = _compiler().seconds
        yield lambda: _compiler().seconds - before


@functools.cache
def _warm_up(device: str) -> None:
    compiled(lambda y: y + 1)(torch.zeros(2, device=device))


def compilations() -> int:
    """How often torch has compiled in this process."""
    return _compiler().count if _compiler.cache_info().currsize else 0


def forget() -> None:
    """Drop what was compiled, before another case."""
    if _compiler.cache_info().currsize:
        torch.compiler.reset()
        _compiler().listen()
