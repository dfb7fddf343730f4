"""S as a dense 0/1 tensor: the selection matrix as a textbook writes it."""

from __future__ import annotations

from typing import Any

from harness.methods.definition import matrix


@matrix(matrix_bytes=lambda case: case.itemsize * case.rows * case.k * case.n, reads_all=True)
def dense() -> Any:
    """Dense S: S @ y, with torch.bmm for several rows."""
    import torch

    def build(indices: Any, n: int, dtype: Any) -> Any:
        S = indices.new_zeros((*indices.shape, n), dtype=dtype)  # made from the indices, so that vmap sees the rows
        return S.scatter_(-1, indices.unsqueeze(-1), 1)

    def apply(S: Any, y: Any) -> Any:
        return S @ y if y.dim() == 1 else torch.bmm(S, y.unsqueeze(-1)).squeeze(-1)

    return build, apply
