"""torch's global state. Except for random numbers, all of it affects what other methods compute or how long they take.

The settings of torch.compile (torch._dynamo.config and the like) are not included: they take effect only when a case is
compiled, and torch changes them itself.
"""

from __future__ import annotations

import contextlib
import operator
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

import torch

from harness.device.settings import Setting, of_every_device


def _binding(name: str) -> Callable[..., Any]:
    """A function of torch._C, looked up when it is called.

    Another version of torch may lack it; reading the setting then gives the same error before and after a method.
    """
    get = operator.attrgetter(name)
    return lambda *arguments: get(torch._C)(*arguments)


DISPATCH_KEYS = ("CPU", "CUDA", "AutogradCPU", "AutogradCUDA", "Autograd", "CompositeImplicitAutograd")
"""Keys under which an implementation of an operator of torch takes the place of torch's own."""


def of_torch() -> list[Setting]:
    """torch's settings, in the order in which they must be restored."""
    return [*_of_modes(), *_of_autograd(), *_of_arithmetic(), *of_every_device()]


@cache
def _overridden(_: int) -> tuple[str, ...]:
    """The operators of torch, each with its dispatch key, that torch.library overrides.

    The argument is the number of all implementations that torch.library knows. To look through the two thousand takes
    as long as a block, so it is done again only when their number has changed.
    """
    aten = (each for each in torch.library._impls if each.startswith("aten/"))
    return tuple(sorted(each for each in aten if each.rpartition("/")[2] in DISPATCH_KEYS))


def _of_modes() -> list[Setting]:
    """Settings that are restored first, because they change what every later call does."""
    return [
        Setting("the default device", torch.get_default_device, lambda _: torch.set_default_device(None)),
        Setting(
            "torch function modes",
            _binding("_len_torch_function_stack"),
            _popping(_binding("_pop_torch_function_stack")),
        ),
        Setting(
            "torch dispatch modes",
            _binding("_len_torch_dispatch_stack"),
            _popping(lambda: _binding("_pop_torch_dispatch_stack")(None)),
        ),
        Setting("torch.func's transforms", _in_func, _leave_func),
        Setting("inference mode", torch.is_inference_mode_enabled, _only_a_new_process),
        Setting(
            "torch's own operators",
            lambda: list(_overridden(len(torch.library._impls))),
            _only_a_new_process,
        ),
    ]


def _of_autograd() -> list[Setting]:
    return [
        Setting("grad mode", torch.is_grad_enabled, _binding("_set_grad_enabled")),
        Setting("forward-mode grad", _binding("_is_fwd_grad_enabled"), _binding("_set_fwd_grad_enabled")),
        Setting("autograd's anomaly mode", torch.is_anomaly_enabled, torch.autograd.set_detect_anomaly),
        Setting("autograd's threads", _binding("_is_multithreading_enabled"), _binding("_set_multithreading_enabled")),
        Setting(
            "autograd's hooks of saved tensors",
            lambda: _binding("_autograd._top_saved_tensors_default_hooks")(True),
            lambda _: _binding("_autograd._pop_saved_tensors_default_hooks")(),
        ),
        Setting("the profiler", _binding("_autograd._profiler_enabled"), _only_a_new_process),
        Setting(
            "checks of sparse tensors",
            torch.sparse.check_sparse_tensor_invariants.is_enabled,
            _binding("_set_check_sparse_tensor_invariants"),
        ),
    ]


def _of_arithmetic() -> list[Setting]:
    return [
        Setting("torch's number of threads", torch.get_num_threads, torch.set_num_threads),
        Setting("torch's number of interop threads", torch.get_num_interop_threads, torch.set_num_interop_threads),
        Setting("the default dtype", torch.get_default_dtype, torch.set_default_dtype),
        Setting("the flushing of subnormal numbers", _flushes, torch.set_flush_denormal),
        Setting("deterministic algorithms", torch.get_deterministic_debug_mode, torch.set_deterministic_debug_mode),
        Setting(
            "the filling of new memory",
            _binding("_get_deterministic_fill_uninitialized_memory"),
            _binding("_set_deterministic_fill_uninitialized_memory"),
        ),
        Setting("autocast's cache", torch.is_autocast_cache_enabled, torch.set_autocast_cache_enabled),
    ]


def _only_a_new_process(_: Any) -> None:
    """A write for state that only a new process can restore."""
    raise NotImplementedError


def _flushes() -> bool:
    """Whether this thread flushes subnormal numbers to zero, as results or as operands.

    Python's floats show it, since they obey the same flags of the processor as torch does.
    """
    smallest_normal = sys.float_info.min
    return smallest_normal * 0.5 * 2 != smallest_normal


def _popping(pop: Callable[[], Any]) -> Callable[[Any], None]:
    """A write that empties a stack: it was empty when the case was opened."""

    def write(_: Any) -> None:
        with contextlib.suppress(Exception):
            while True:
                pop()

    return write


def _in_func() -> bool:
    return _binding("_functorch.peek_interpreter_stack")() is not None


def _leave_func(_: Any) -> None:
    while _in_func():
        _binding("_functorch.pop_dynamic_layer_stack")()
