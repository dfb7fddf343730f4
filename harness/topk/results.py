"""What a phase returned: whether it is plain tensors, and whether it has the bits of an earlier result."""

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
"""phase -> the tensors that its call returns, in this order; build and apply return one tensor, not a tuple."""

SPARSE = (torch.sparse_coo, torch.sparse_csr, torch.sparse_csc, torch.sparse_bsr, torch.sparse_bsc)

KEPT_BYTES = 1 << 16
"""Tensors of at most this size are kept to compare with; of larger ones only sums of their bits are remembered."""

WIDTH = 128
"""Words in a row, when the words of a large tensor are laid out in rows: the sums of the rows take 1/128 of its
memory."""


def parts(phase: str, result: Any) -> dict[str, Any]:
    """What a call of a phase returned, by name.

    Raises TypeError where it is not a sequence, and ValueError where its length is not the expected one.
    """
    single = phase in ("build", "apply")
    return dict(zip(PARTS[phase], (result,) if single else tuple(result), strict=True))


def not_plain(results: Mapping[str, Any], device: str) -> str:
    """Which of the results is not a plain tensor on the device, and why not; '' where all are.

    A subclass, or a tensor without storage, may compute only when it is looked at, after the clock has stopped. S may
    be sparse.
    """
    for name, result in results.items():
        if why := _unlike_plain(result, device, may_be_sparse=name == "S"):
            return f"not a plain tensor ({name}: {why})"
    return ""


def _unlike_plain(result: Any, device: str, may_be_sparse: bool) -> str:
    if type(result) is not torch.Tensor:
        return type(result).__name__
    if result.device.type != device:
        return f"on {result.device.type}"
    if result.layout != torch.strided and not (may_be_sparse and result.layout in SPARSE):
        return str(result.layout)
    if torch._C._functorch.is_functorch_wrapped_tensor(result) or torch._is_functional_tensor(result):
        return "wrapped by a transform of torch.func"
    if result._is_zerotensor() or result.is_neg() or result.is_conj():
        return "zeros, a negative or a conjugate that torch has yet to write"
    if any(part.numel() and part.untyped_storage().nbytes() < part.element_size() for part in parts_of(result)):
        return "without storage"
    return ""


class Remembered:
    """The bits of tensors: copies of small ones, and sums of large ones, which any single change or exchange alters.

    The words of a large tensor are summed modulo 2^64 by rows and by columns: a change alters the sum of its row, and
    an exchange of two words the sums of two rows or of two columns. That takes about as long as reading the tensor
    twice.
    """

    def __init__(self, tensors: Iterable[torch.Tensor]) -> None:
        # A summary may share the memory of a result, which a method may write to again.
        self._kept = [(_kind(part), _summary(part).clone()) for tensor in tensors for part in parts_of(tensor)]

    def matches(self, tensors: Iterable[torch.Tensor]) -> bool:
        """Whether these tensors have the same shapes, dtypes and bits."""
        others = [part for tensor in tensors for part in parts_of(tensor)]
        return len(others) == len(self._kept) and all(
            kind == _kind(part) and torch.equal(kept, _summary(part))
            for (kind, kept), part in zip(self._kept, others, strict=True)
        )


def words(tensor: torch.Tensor) -> torch.Tensor:
    """The bits of a strided tensor, flat, as the widest integers that divide them evenly; a view where possible."""
    flat = tensor.detach().contiguous().view(-1)
    size = flat.element_size()
    if bytes_of(flat) % 8 == 0:
        aligned = flat.storage_offset() * size % 8 == 0
        return (flat if aligned else flat.clone()).view(torch.int64)
    return flat.view({1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[size])


def _summary(part: torch.Tensor) -> torch.Tensor:
    """All words of a small tensor; of a large one the sums by columns and by rows, and the words that fill no row."""
    flat = words(part)
    if bytes_of(part) <= KEPT_BYTES:
        return flat
    whole = flat.numel() // WIDTH * WIDTH
    body = flat[:whole].view(-1, WIDTH)
    return torch.cat([body.sum(dim=0, dtype=torch.int64), body.sum(dim=1, dtype=torch.int64), flat[whole:].long()])


def _kind(part: torch.Tensor) -> tuple[Any, ...]:
    return part.shape, part.dtype
