"""S as a sparse tensor. For several rows it is one block-diagonal matrix, over the rows of y laid end to end.

torch has several products; those used here were chosen with torch 2.13 on a CPU:
- COO: torch.sparse.mm works in every dtype and keeps the gradient of S sparse; `S @ y` makes it dense.
- CSR: torch.sparse.mm works in float32 and float64. On a CPU, float16 and bfloat16 have no kernel for it
  (nor for `S @ y`), but they have one for the reduction torch.sparse.mm(S, Y, "sum").
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.methods.definition import matrix
from harness.vocabulary import INDEX_BYTES

if TYPE_CHECKING:
    from harness.study.cells import Case


def _coo_bytes(case: Case) -> int:
    return case.rows * case.k * (2 * INDEX_BYTES + case.itemsize)


def _csr_bytes(case: Case) -> int:
    return case.rows * case.k * (INDEX_BYTES + case.itemsize) + INDEX_BYTES * (case.rows * case.k + 1)


def _full_bytes(case: Case) -> int:
    return case.rows * case.k * case.rows * case.n * case.itemsize


@matrix(matrix_bytes=_coo_bytes)
def coo() -> Any:
    """COO S: torch.sparse.mm(S, y), which keeps dS sparse."""
    import torch

    def build(indices: Any, n: int, dtype: Any) -> Any:
        entries = indices.numel()
        at = torch.stack((torch.arange(entries, device=indices.device), _columns(torch, indices, n)))
        ones = torch.ones(entries, dtype=dtype, device=indices.device)
        size = (entries, _row_count(indices) * n)
        # One entry in each row, in order, is coalesced; to find that out, or to check it, would be timed.
        return torch.sparse_coo_tensor(at, ones, size, is_coalesced=True, check_invariants=False)

    return build, _product(torch.sparse.mm)


@matrix(matrix_bytes=_csr_bytes)
def csr() -> Any:
    """CSR S: torch.sparse.mm(S, y), with its reduction "sum" for float16 and bfloat16 on a CPU."""
    import torch

    halves = (torch.float16, torch.bfloat16)

    def multiply(S: Any, column: Any) -> Any:
        if column.dtype in halves and column.device.type == "cpu":
            return torch.sparse.mm(S, column, "sum")
        return torch.sparse.mm(S, column)

    return _csr_build(), _product(multiply)


@matrix(matrix_bytes=_csr_bytes, gradient_bytes=_full_bytes)
def csr_at() -> Any:
    """CSR S: S @ y, as it is usually written, which makes dS dense."""
    return _csr_build(), lambda S, y: (S @ y.flatten()).view(*y.shape[:-1], -1)


def _csr_build() -> Any:
    import torch

    def build(indices: Any, n: int, dtype: Any) -> Any:
        entries = indices.numel()
        starts = torch.arange(entries + 1, device=indices.device)
        ones = torch.ones(entries, dtype=dtype, device=indices.device)
        size = (entries, _row_count(indices) * n)
        return torch.sparse_csr_tensor(starts, _columns(torch, indices, n), ones, size, check_invariants=False)

    return build


def _product(multiply: Any) -> Any:
    return lambda S, y: multiply(S, y.reshape(-1, 1)).view(*y.shape[:-1], -1)


def _row_count(indices: Any) -> int:
    return 1 if indices.dim() == 1 else indices.shape[0]


def _columns(torch: Any, indices: Any, n: int) -> Any:
    """The column of every entry: row r of y begins at r n."""
    if indices.dim() == 1:
        return indices
    first = torch.arange(indices.shape[0], device=indices.device).mul_(n)
    return (indices + first.unsqueeze(-1)).flatten()
