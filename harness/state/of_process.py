"""Global state of the process outside torch: what all methods share, and what is only restored and noted."""

from __future__ import annotations

import gc
import locale
import logging
import os
import random
import signal
import sys
import tracemalloc
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from harness.device.settings import Setting

if sys.platform != "win32":
    import resource

SIGNALS = ("HUP", "INT", "QUIT", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM", "CHLD", "VTALRM", "PROF")
SET_BY_TORCH = {"TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR", "_TORCHINDUCTOR_PYOBJECT_TENSOR_DATA_PTR"}
"""Variables that torch itself sets when some part of it first needs them, so no method is blamed for them."""

TIMERS = ("ITIMER_REAL", "ITIMER_VIRTUAL", "ITIMER_PROF")
LIMITS = ("RLIMIT_AS", "RLIMIT_DATA", "RLIMIT_CPU", "RLIMIT_NOFILE", "RLIMIT_FSIZE")


def shared() -> list[Setting]:
    """The settings that affect how long other methods take, or whether they can run at all.

    The priority of the process is not one of them, because somebody outside may change it.
    """
    settings = [
        Setting("Python's garbage collector", gc.isenabled, lambda on: gc.enable() if on else gc.disable()),
        Setting("the garbage collector's thresholds", gc.get_threshold, lambda limits: gc.set_threshold(*limits)),
        Setting(
            "Python's tracing of memory",
            tracemalloc.is_tracing,
            lambda on: tracemalloc.start() if on else tracemalloc.stop(),
        ),
        Setting("Python's switch interval", sys.getswitchinterval, sys.setswitchinterval),
        Setting("Python's trace function", sys.gettrace, sys.settrace),
        Setting("Python's profile function", sys.getprofile, sys.setprofile),
        Setting("signal handlers", _handlers, _set_handlers),
    ]
    if hasattr(os, "sched_getaffinity"):
        settings.append(
            Setting("the cores", lambda: sorted(os.sched_getaffinity(0)), lambda cores: os.sched_setaffinity(0, cores))
        )
    if sys.platform != "win32":
        settings += [
            Setting("timers of signals", _timers, _set_timers),
            Setting("limits of the process", _limits, _set_limits),
        ]
    return settings


def noted() -> list[Setting]:
    """The settings that are restored for the other methods, and noted, but make no method incorrect."""
    options: Any = vars(torch._tensor_str.PRINT_OPTS)
    settings: list[tuple[str, Callable[[], Any], Callable[[Any], object]]] = [
        ("environment variables", _environment, _set_environment),
        ("the working folder", os.getcwd, os.chdir),
        ("warning filters", lambda: list(warnings.filters), _set_filters),
        ("numpy's errstate", np.geterr, lambda state: np.seterr(**state)),
        ("numpy's print options", np.get_printoptions, lambda state: np.set_printoptions(**state)),
        ("torch's print options", lambda: dict(options), options.update),
        ("numpy's random state", _numpy_random, _set_numpy_random),
        ("Python's random state", random.getstate, random.setstate),
        ("the locale", lambda: locale.setlocale(locale.LC_ALL), lambda name: locale.setlocale(locale.LC_ALL, name)),
        ("sys.path", lambda: list(sys.path), _set_path),
        ("the recursion limit", sys.getrecursionlimit, sys.setrecursionlimit),
        ("the umask", _umask, os.umask),
        ("Python's logging", _logging, _set_logging),
        ("standard streams", lambda: [sys.stdin, sys.stdout, sys.stderr], _set_streams),
    ]
    return [Setting(name, read, write, shared=False) for name, read, write in settings]


def _handlers() -> dict[str, Any]:
    """The signal handlers; None for one that was not installed from Python."""
    return {name: signal.getsignal(getattr(signal, f"SIG{name}")) for name in SIGNALS if hasattr(signal, f"SIG{name}")}


def _set_handlers(handlers: Mapping[str, Any]) -> None:
    for name, handler in handlers.items():
        if handler is not None:
            signal.signal(getattr(signal, f"SIG{name}"), handler)


def _timers() -> dict[str, bool]:
    """Whether each timer runs. The time it has left is not compared, since it changes by itself."""
    return {name: signal.getitimer(getattr(signal, name))[0] > 0 for name in TIMERS}


def _set_timers(running: Mapping[str, bool]) -> None:
    for name, was_running in running.items():
        if not was_running:
            signal.setitimer(getattr(signal, name), 0)


def _limits() -> dict[str, tuple[int, int]]:
    return {name: resource.getrlimit(getattr(resource, name)) for name in LIMITS if hasattr(resource, name)}


def _set_limits(limits: Mapping[str, tuple[int, int]]) -> None:
    for name, limit in limits.items():
        resource.setrlimit(getattr(resource, name), limit)


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in SET_BY_TORCH}


def _set_environment(variables: Mapping[str, str]) -> None:
    for name in os.environ.keys() - variables.keys() - SET_BY_TORCH:
        del os.environ[name]
    os.environ.update(variables)


def _set_filters(filters: list[Any]) -> None:
    warnings.filters[:] = filters  # type: ignore[index]
    mutated = getattr(warnings, "_filters_mutated", None)
    if mutated is not None:  # Python caches which warnings were shown; the cache is valid only for the old filters
        mutated()


def _numpy_random() -> tuple[Any, ...]:
    name, keys, *rest = np.random.get_state(legacy=True)
    return name, bytes(np.asarray(keys)), *rest


def _set_numpy_random(state: tuple[Any, ...]) -> None:
    name, keys, *rest = state
    np.random.set_state((name, np.frombuffer(keys, dtype=np.uint32), *rest))


def _set_path(path: list[str]) -> None:
    sys.path[:] = path


def _umask() -> int:
    mask = os.umask(0)  # the umask can only be read by setting it
    os.umask(mask)
    return mask


def _logging() -> tuple[int, int, list[logging.Handler]]:
    root = logging.getLogger()
    return root.level, root.manager.disable, list(root.handlers)


def _set_logging(state: tuple[int, int, list[logging.Handler]]) -> None:
    root = logging.getLogger()
    level, disabled, root.handlers[:] = state
    root.setLevel(level)
    logging.disable(disabled)


def _set_streams(streams: list[Any]) -> None:
    sys.stdin, sys.stdout, sys.stderr = streams
