"""What a phase returned: whether it is plain tensors, and whether it has the bits that it had before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch

from harness.device.heap import bytes_of, parts_of

PARTS = {
    "build": ("S",),
    "apply": ("values",),
    "forward": ("values", "indices"),
    "backward": ("dy",),
    "step": ("values", "dy", "indices"),
    "jvp": ("values", "derivative", "indices"),
    "vjp": ("values", "derivative", "indices"),
    "pipeline": ("dW", "dx"),
}
"""phase -> what its call returns, in this order; build and apply return the one tensor itself."""

SPARSE = (torch.sparse_coo, torch.sparse_csr, torch.sparse_csc, torch.sparse_bsr, torch.sparse_bsc)

KEPT_BYTES = 1 << 16
"""A tensor of at most so many bytes is kept to be compared with, a larger one is remembered by sums of its bits."""

WIDTH = 128
"""Words in a row, where the words of a large tensor are summed along rows and along columns."""

MULTIPLIER = -7046029254386353131
"""2^64 over the golden ratio, odd, as a signed integer: its multiples are spread over all integers."""


def parts(phase: str, result: Any) -> dict[str, Any]:
    """What a call of a phase returned, by name. Raises TypeError and ValueError where it is not as many things."""
    one = phase in ("build", "apply")
    return dict(zip(PARTS[phase], (result,) if one else tuple(result), strict=True))


def not_plain(found: Mapping[str, Any], device: str) -> str:
    """Which of these is not a plain tensor on the device, or ''.

    A subclass may compute when it is looked at, which is after the clock has stopped, and so may a tensor without
    storage. S may be sparse.
    """
    for name, each in found.items():
        if why := _unlike_plain(each, device, may_be_sparse=name == "S"):
            return f"not a plain tensor ({name}: {why})"
    return ""


def _unlike_plain(found: Any, device: str, may_be_sparse: bool) -> str:
    if type(found) is not torch.Tensor:
        return type(found).__name__
    if found.device.type != device:
        return f"on {found.device.type}"
    if found.layout != torch.strided and not (may_be_sparse and found.layout in SPARSE):
        return str(found.layout)
    if torch._C._functorch.is_functorch_wrapped_tensor(found) or torch._is_functional_tensor(found):
        return "wrapped by a transform of torch.func"
    if found._is_zerotensor() or found.is_neg() or found.is_conj():
        return "zeros, a negative or a conjugate that torch has yet to write"
    if any(each.numel() and each.untyped_storage().nbytes() < each.element_size() for each in parts_of(found)):
        return "without storage"
    return ""


class Remembered:
    """The bits of tensors: exact where they are small, else by sums that tell any one change and any exchange.

    Sums modulo 2^64 of the words of each row and of each column, every row and column with a multiplier of its own.
    They hold no memory, whatever the size, and cost about two readings.
    """

    def __init__(self, tensors: Iterable[torch.Tensor]) -> None:
        self._kept = [_remembered(part) for each in tensors for part in parts_of(each)]

    def matches(self, tensors: Iterable[torch.Tensor]) -> bool:
        """Whether these have the same shapes, dtypes and bits."""
        others = [part for each in tensors for part in parts_of(each)]
        return len(others) == len(self._kept) and all(
            kind == _kind(part) and (torch.equal(bits, words(part)) if digest is None else digest == _digest(part))
            for (kind, bits, digest), part in zip(self._kept, others, strict=True)
        )


def words(tensor: torch.Tensor) -> torch.Tensor:
    """The bits of a strided tensor, flat, as the widest integers that they fill; mostly a view."""
    flat = tensor.detach().contiguous().view(-1)
    size = flat.element_size()
    if bytes_of(flat) % 8 == 0:
        aligned = flat.storage_offset() * size % 8 == 0
        return (flat if aligned else flat.clone()).view(torch.int64)
    return flat.view({1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[size])


def _remembered(part: torch.Tensor) -> tuple[Any, torch.Tensor, list[int] | None]:
    if bytes_of(part) <= KEPT_BYTES:
        return _kind(part), words(part).clone(), None
    return _kind(part), torch.empty(0), _digest(part)


def _digest(part: torch.Tensor) -> list[int]:
    flat = words(part)
    whole = flat.numel() // WIDTH * WIDTH
    body = flat[:whole].view(-1, WIDTH)
    found = []
    for sums in (body.sum(dim=0, dtype=torch.int64), body.sum(dim=1, dtype=torch.int64)):
        places = torch.arange(1, sums.numel() + 1, device=sums.device)
        found.append(int((sums * (places * MULTIPLIER | 1)).sum()))
    return found + flat[whole:].tolist()


def _kind(part: torch.Tensor) -> tuple[Any, ...]:
    return part.shape, part.dtype
