"""A method that selects rightly and changes global state, of every kind that the harness watches."""

from __future__ import annotations

import gc
import inspect
import itertools
import logging
import os
import random
import signal
import sys
import threading
import time
import tracemalloc
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from harness.methods.definition import selector

TORCH: Any = torch
"""Parts of it have no types."""

KEPT: list[Any] = []
"""What would be put back by itself if nothing held it."""

REST = threading.Event()
"""Ends the busy thread."""


def _entered(context: Any) -> None:
    KEPT.append(context)
    context.__enter__()


def _flip(owner: Any, name: str) -> None:
    setattr(owner, name, not getattr(owner, name))


def _patch_topk() -> None:
    real = torch.topk
    TORCH.topk = lambda *given, **named: real(*given, **named)


def _patch_tensor_topk() -> None:
    real = torch._C.TensorBase.topk
    torch.Tensor.topk = lambda self, *given, **named: real(self, *given, **named)  # type: ignore[method-assign]


def _override_topk() -> None:
    library = TORCH.library.Library("aten", "IMPL")
    library.impl("topk", lambda *given: torch.ops.aten.topk.default.redispatch(*given), "AutogradCPU")
    KEPT.append(library)


def _override_equal() -> None:
    library = TORCH.library.Library("aten", "IMPL")
    with warnings.catch_warnings(action="ignore"):  # torch warns that it replaces its own
        library.impl("equal", lambda *given: True, "CPU")
    KEPT.append(library)


def _burn() -> None:
    def work() -> None:
        while not REST.is_set():
            sum(range(1000))

    REST.clear()
    threading.Thread(target=work, daemon=True).start()


def tidy() -> None:
    """Undo what only the end of a process undoes: of tests that change their own."""
    REST.set()
    while KEPT:
        kept = KEPT.pop()
        if isinstance(kept, TORCH.library.Library):
            kept._destroy()
        elif isinstance(kept, torch.inference_mode):
            kept.__exit__(None, None, None)


class _Mode(torch.overrides.TorchFunctionMode):
    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return function(*args, **(kwargs or {}))


CUDA: Any = torch.backends.cuda.matmul

SHARED: dict[str, tuple[Callable[[], Any], str]] = {
    "threads": (lambda: torch.set_num_threads(2), "torch's number of threads, 1 to 2"),
    "grad mode": (lambda: torch.set_grad_enabled(False), "grad mode, on to off"),
    "inference mode": (lambda: _entered(torch.inference_mode()), "inference mode, off to on"),
    "no_grad left": (lambda: _entered(torch.no_grad()), "grad mode, on to off"),
    "default dtype": (
        lambda: torch.set_default_dtype(torch.float64),
        "the default dtype, torch.float32 to torch.float64",
    ),
    "default tensor type": (lambda: torch.set_default_tensor_type(torch.DoubleTensor), "the default dtype"),
    "default device": (lambda: torch.set_default_device("meta"), "the default device, cpu to meta"),
    "default device cpu": (lambda: torch.set_default_device("cpu"), "torch function modes, 0 to 1"),
    "flushing": (lambda: torch.set_flush_denormal(True), "the flushing of subnormal numbers, off to on"),
    "deterministic": (lambda: torch.use_deterministic_algorithms(True), "deterministic algorithms, 0 to 2"),
    "warn only": (lambda: torch.use_deterministic_algorithms(True, warn_only=True), "deterministic algorithms, 0 to 1"),
    "fill": (lambda: _flip(torch.utils.deterministic, "fill_uninitialized_memory"), "the filling of new memory"),
    "old tf32": (lambda: _flip(CUDA, "allow_tf32"), "float32 matmul precision"),
    "new tf32": (lambda: setattr(CUDA, "fp32_precision", "tf32"), "fp32_precision of cuda matmul"),
    "precision": (lambda: torch.set_float32_matmul_precision("medium"), "float32 matmul precision, highest to medium"),
    "cudnn tf32": (lambda: _flip(torch.backends.cudnn, "allow_tf32"), "fp32_precision of cuda"),
    "fp16 sums": (
        lambda: _flip(CUDA, "allow_fp16_reduced_precision_reduction"),
        "allow_fp16_reduced_precision_reduction",
    ),
    "bf16 sums": (
        lambda: _flip(CUDA, "allow_bf16_reduced_precision_reduction"),
        "allow_bf16_reduced_precision_reduction",
    ),
    "accumulation": (lambda: _flip(CUDA, "allow_fp16_accumulation"), "allow_fp16_accumulation, off to on"),
    "cudnn": (lambda: _flip(torch.backends.cudnn, "benchmark"), "cudnn.benchmark, off to on"),
    "mkldnn": (lambda: TORCH.backends.mkldnn.set_flags(_enabled=False), "mkldnn.enabled, on to off"),
    "autocast": (lambda: _entered(torch.autocast("cpu")), "autocast on cpu, off to on"),
    "autocast dtype": (lambda: torch.set_autocast_dtype("cpu", torch.float16), "autocast's dtype on cpu"),
    "autocast cache": (lambda: torch.set_autocast_cache_enabled(False), "autocast's cache, on to off"),
    "function mode": (lambda: _entered(_Mode()), "torch function modes, 0 to 1"),
    "anomaly": (lambda: torch.autograd.set_detect_anomaly(True), "autograd's anomaly mode, off to on"),
    "one thread of autograd": (
        lambda: torch.autograd.set_multithreading_enabled(False),
        "autograd's threads, on to off",
    ),
    "hooks": (lambda: _entered(torch.autograd.graph.save_on_cpu()), "autograd's hooks of saved tensors"),
    "sparse checks": (torch.sparse.check_sparse_tensor_invariants.enable, "checks of sparse tensors, off to on"),
    "torch.topk": (_patch_topk, "torch.topk"),
    "Tensor.topk": (_patch_tensor_topk, "torch.Tensor.topk"),
    "aten::topk": (_override_topk, "torch's own operators"),
    "aten::equal": (_override_equal, "torch's own operators"),
    "numpy function": (lambda: setattr(np, "partition", lambda *given: np.sort(given[0])), "numpy.partition"),
    "clock": (lambda: setattr(time, "perf_counter_ns", lambda: 0), "time.perf_counter_ns"),
    "garbage": (gc.disable, "Python's garbage collector, on to off"),
    "thresholds": (lambda: gc.set_threshold(1), "the garbage collector's thresholds"),
    "tracing of memory": (tracemalloc.start, "Python's tracing of memory, off to on"),
    "switches": (lambda: sys.setswitchinterval(0.5), "Python's switch interval, 0.005 to 0.5"),
    "profile": (lambda: sys.setprofile(lambda *_: None), "Python's profile function"),
    "handler": (lambda: signal.signal(signal.SIGUSR1, lambda *_: None), "signal handlers USR1"),
    "alarm": (lambda: signal.setitimer(signal.ITIMER_REAL, 1000), "timers of signals ITIMER_REAL"),
    "a busy thread": (_burn, "leaves 1 thread working"),
}
"""What is changed -> how, and words that the reason has: none of these may be left to other methods."""

NOTED: dict[str, tuple[Callable[[], Any], str]] = {
    "environment": (lambda: os.environ.update(PLANTED="1"), "environment variables PLANTED"),
    "folder": (lambda: os.chdir("/"), "the working folder"),
    "filter": (lambda: warnings.simplefilter("error"), "warning filters"),
    "errstate": (lambda: np.seterr(all="raise"), "numpy's errstate"),
    "print options": (lambda: np.set_printoptions(precision=2), "numpy's print options precision"),
    "torch's print options": (lambda: TORCH.set_printoptions(precision=2), "torch's print options precision"),
    "numpy's draw": (lambda: np.random.rand(), "numpy's random state"),
    "Python's draw": (random.random, "Python's random state"),
    "torch's draw": (lambda: torch.rand(1), "torch's random state"),
    "torch's seed": (lambda: torch.manual_seed(1), "torch's random state"),
    "path": (lambda: sys.path.append("/nowhere"), "sys.path"),
    "recursion": (lambda: sys.setrecursionlimit(5000), "the recursion limit, 1000 to 5000"),
    "umask": (lambda: os.umask(0o077), "the umask"),
    "logging": (lambda: logging.disable(logging.ERROR), "Python's logging"),
    "stream": (lambda: setattr(sys, "stdout", sys.stderr), "standard streams"),
}
"""What is changed -> how, and words of the note: it is put back, and the cell is ok."""

CHANGES = SHARED | NOTED


IN_A_BLOCK = -1


@selector()
def changer(*, what: str = "", call: int = 1) -> Any:
    """topk, which makes a change at the call of that number; 0 stands for its own making, IN_A_BLOCK for the first call
    in a timed block."""
    calls = itertools.count()

    def count() -> None:
        if next(calls) == call or (call == IN_A_BLOCK and _is_timed()):
            CHANGES[what][0]()

    def select(y: Any, k: int) -> Any:
        values, indices = torch.Tensor.topk(y, k)
        count()
        return values, indices

    count()
    return select


def _is_timed() -> bool:
    return any(each.function == "time" and each.filename.endswith("open_case.py") for each in inspect.stack(0))
