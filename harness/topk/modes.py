"""The arithmetic that torch is asked for: the axis `mode`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch

from harness.device.devices import device_of

AUTOCAST = "autocast-"
DETERMINISTIC = "deterministic"


def set_mode(mode: str, device: str) -> None:
    """What is set for a whole process, until the next case: every switch of products (harness/device/arithmetic.py),
    and whether only deterministic algorithms may be used (torch then fills the memory of torch.empty too).

    Raises NotImplementedError where the device has no such arithmetic.
    """
    deterministic = mode == DETERMINISTIC
    if torch.are_deterministic_algorithms_enabled() != deterministic:  # the setter imports torch.compile, for a second
        torch.use_deterministic_algorithms(deterministic)
    device_of(device).set_arithmetic(mode)


def in_mode(function: Callable[..., Any], mode: str, device: str) -> Callable[..., Any]:
    """The function in a mode: itself, or under autocast to the dtype that the mode names.

    Casts are not cached: what a block repeats would otherwise be done once. The backward pass stays outside, as torch
    recommends; it takes the dtypes of the forward pass.
    """
    if not mode.startswith(AUTOCAST):
        return function
    dtype = getattr(torch, mode.removeprefix(AUTOCAST))

    @functools.wraps(function)
    def reduced(*arguments: Any) -> Any:
        with torch.autocast(device, dtype=dtype, cache_enabled=False):
            return function(*arguments)

    return reduced


def result_dtypes(dtype: str, mode: str) -> set[torch.dtype]:
    """The dtypes that the values of a case may have."""
    own = getattr(torch, dtype)
    return {own, getattr(torch, mode.removeprefix(AUTOCAST))} if mode.startswith(AUTOCAST) else {own}


def keeps_subnormals() -> bool:
    """Whether this process computes with subnormal numbers; a library built with -ffast-math may flush them to zero.

    The least normal number is halved (the result is subnormal) and doubled (the factor is), in both hardware formats.
    """
    least = [torch.tensor([torch.finfo(dtype).tiny], dtype=dtype) for dtype in (torch.float32, torch.float64)]
    return all(bool((tiny * 0.5 * 2 == tiny).all()) for tiny in least)
