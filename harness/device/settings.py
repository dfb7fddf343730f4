"""Global state of torch that belongs to devices: what their products may round, autocast, the current device.

It outlives the call that sets it, and changes what everybody else in the process measures.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

FLOAT32_PRODUCTS = (
    ("generic", "all"),
    *((backend, operation) for backend in ("cuda", "mkldnn") for operation in ("all", "matmul", "conv", "rnn")),
)
"""(backend, operation) whose products of float32 may be rounded, as torch names them. Its older names (`allow_tf32`,
`set_float32_matmul_precision`) write into the same places, and so must be put back before them."""

REDUCTIONS = ("allow_fp16_reduced_precision_reduction", "allow_bf16_reduced_precision_reduction")
SUMS = (*REDUCTIONS, "allow_fp16_accumulation")
LIBRARY_SWITCHES = ("enabled", "deterministic", "benchmark")


@dataclass(frozen=True)
class Setting:
    """One piece of global state. read() gives what `==` compares; write() puts that back, or raises.

    shared: a change of it changes what other methods compute, or how long they take.
    """

    name: str
    read: Callable[[], Any]
    write: Callable[[Any], object]
    shared: bool = True


def of_products() -> list[Setting]:
    """Every switch that changes what a product rounds, in the order in which it must be put back."""
    backends: Any = torch.backends
    return [
        Setting("float32 matmul precision", torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
        _attribute(backends.cudnn, "torch.backends.cudnn", "allow_tf32"),
        *(_of_float32(*each) for each in FLOAT32_PRODUCTS),
        *(_attribute(backends.cuda.matmul, "torch.backends.cuda.matmul", name) for name in SUMS),
    ]


def of_every_device() -> list[Setting]:
    """What can be read on every machine, in the order in which it must be put back."""
    backends: Any = torch.backends
    found = of_products()
    for of in (backends.cudnn, backends.mkldnn):
        found += [_attribute(of, of.__name__, name) for name in LIBRARY_SWITCHES if hasattr(of, name)]
    found.append(
        Setting("the BLAS library", backends.cuda.preferred_blas_library, backends.cuda.preferred_blas_library)
    )
    for device in ("cpu", "cuda"):
        found += _of_autocast(device)
    return [*found, random_state("torch's random state", torch.default_generator)]


def of_accelerator(word: str) -> list[Setting]:
    """What only an accelerator of this type has. Reading it starts the device."""
    module: Any = torch.get_device_module(word)
    accelerator = torch.accelerator
    found = [
        Setting("the current device", accelerator.current_device_index, accelerator.set_device_index),
        Setting("the current stream", accelerator.current_stream, accelerator.set_stream),
    ]
    generators = getattr(module, "default_generators", ())
    return [*found, *(random_state(f"torch's random state on {word}", each) for each in generators[:1])]


def random_state(name: str, generator: torch.Generator) -> Setting:
    """The state of a generator. A randomised selection must draw, so no draw is held against it."""
    return Setting(
        name,
        lambda: bytes(generator.get_state().numpy()),
        lambda state: generator.set_state(torch.frombuffer(bytearray(state), dtype=torch.uint8)),
        shared=False,
    )


def _of_float32(backend: str, operation: str) -> Setting:
    binding: Any = torch._C
    return Setting(
        f"fp32_precision of {backend} {operation}",
        lambda: binding._get_fp32_precision_getter(backend, operation),
        lambda value: binding._set_fp32_precision_setter(backend, operation, value),
    )


def _of_autocast(device: str) -> list[Setting]:
    return [
        Setting(
            f"autocast on {device}",
            lambda: torch.is_autocast_enabled(device),
            lambda on: torch.set_autocast_enabled(device, on),
        ),
        Setting(
            f"autocast's dtype on {device}",
            lambda: torch.get_autocast_dtype(device),
            lambda dtype: torch.set_autocast_dtype(device, dtype),
        ),
    ]


def _attribute(owner: Any, called: str, name: str) -> Setting:
    return Setting(f"{called}.{name}", lambda: getattr(owner, name), lambda value: setattr(owner, name, value))
